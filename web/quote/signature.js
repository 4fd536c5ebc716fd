// A field of 600 by 200 to sign in. What was drawn goes as a path of M, L and whole numbers.

const WIDTH = 600;
const HEIGHT = 200;
const LONGEST = 20000; // characters, what the server takes
const NEAR = 3; // points closer than this say nothing new

export function signIn(place) {
  const canvas = place.querySelector("canvas");
  const field = place.querySelector("input");
  const pen = canvas.getContext("2d");
  let strokes = [];
  let current = null;

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (value, most) => Math.min(most, Math.max(0, Math.round(value)));
    return [
      inside(((event.clientX - box.left) / box.width) * WIDTH, WIDTH),
      inside(((event.clientY - box.top) / box.height) * HEIGHT, HEIGHT),
    ];
  };

  const draw = () => {
    pen.clearRect(0, 0, WIDTH, HEIGHT);
    pen.lineWidth = 3;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#1d2329";
    for (const [first, ...rest] of strokes) {
      pen.beginPath();
      pen.moveTo(...first);
      for (const point of rest) pen.lineTo(...point);
      pen.stroke();
    }
  };

  const keep = () => {
    const whole = strokes.filter((stroke) => stroke.length > 1);
    field.value = whole
      .map(([first, ...rest]) => `M${first.join(" ")}${rest.map((point) => `L${point.join(" ")}`).join("")}`)
      .join("");
  };

  const end = () => {
    if (!current) return;
    if (current.length === 1) current.push([Math.min(WIDTH, current[0][0] + 1), current[0][1]]); // a dot
    current = null;
    draw();
    keep();
  };

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    current = [at(event)];
    strokes.push(current);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!current || field.value.length + current.length * 8 > LONGEST - 100) return;
    const [x, y] = at(event);
    const [lastX, lastY] = current.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < NEAR) return;
    current.push([x, y]);
    draw();
  });
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  place.querySelector("button").addEventListener("click", () => {
    strokes = [];
    draw();
    keep();
  });
  place.hidden = false;
}
