// The total follows what is chosen. The server counts; this only shows what it says.

const PAUSE = 300; // milliseconds without a digit more

export function followChoices(form) {
  const fields = [...document.querySelectorAll(".work input")];
  const button = document.querySelector("#update");
  if (!fields.length || !button) return;
  let newest = 0;

  const show = (told) => {
    const rows = told.rows.map((row) => {
      const line = document.createElement("div");
      line.className = row.kind;
      line.append(element("dt", row.name), element("dd", row.amount));
      return line;
    });
    document.querySelector("#totals").replaceChildren(...rows);
    for (const [place, text] of Object.entries(told.amounts)) {
      document.getElementById(place).textContent = text;
    }
    form.querySelector("#total").value = told.total;
    form.querySelector("#agreed").textContent = told.agreed;
    button.hidden = true;
  };

  const ask = async () => {
    const turn = ++newest;
    try {
      const answer = await fetch(button.formAction, {
        method: "POST",
        headers: { accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
      });
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      if (turn === newest) show(told);
    } catch {
      button.hidden = false; // the form without a script still works
    }
  };

  let waiting;
  for (const field of fields) {
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      if (fields.every((each) => each.validity.valid)) waiting = setTimeout(ask, field.type === "number" ? PAUSE : 0);
    });
    field.addEventListener("change", () => field.reportValidity());
  }
  button.hidden = true;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
