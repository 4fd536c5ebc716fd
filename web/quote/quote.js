// What scripts add to the client's page: a field to sign in, totals that follow, one answer for two clicks.

import { signIn } from "./signature.js";
import { followChoices } from "./totals.js";

const form = document.querySelector("#accept");

if (form) {
  signIn(document.querySelector("#sign"));
  followChoices(form);
}

for (const each of document.forms) {
  each.addEventListener("submit", (event) => {
    if (each.dataset.sent) {
      event.preventDefault();
      return;
    }
    each.dataset.sent = "yes";
    for (const button of each.querySelectorAll("button[type=submit]")) button.disabled = true;
  });
}

// Whoever comes back by the browser's own button may answer again.
addEventListener("pageshow", () => {
  for (const each of document.forms) {
    delete each.dataset.sent;
    for (const button of each.querySelectorAll("button[type=submit]")) button.disabled = false;
  }
});
