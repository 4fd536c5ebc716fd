// Shows docs/openapi.json with the local stack's demo user signed in.
const who = document.getElementById("who");

const ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#operations",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null,
  onComplete: signIn,
});

async function signIn() {
  const answer = await fetch("/docs/token");
  if (!answer.ok) {
    who.textContent = "The demo token could not be had; paste one under Authorize.";
    return;
  }
  ui.preauthorizeApiKey("bearer", (await answer.json()).token);
  who.textContent = "QuoteKit on this machine. You are the demo user: open an operation and execute it.";
}
