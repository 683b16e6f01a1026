"use strict";
// The pages work without this: it sends a narrowed table as soon as a choice is made.
document.addEventListener("change", (event) => {
  const form = event.target.closest("#listing form.filters");
  if (form && event.target.matches("select")) form.requestSubmit();
});

// A slider beside each number: it moves the number, and asks when it is let go.
const addSliders = (root) => {
  for (const number of root.querySelectorAll("input[data-step]")) {
    if (number.parentElement.querySelector("input[type=range]")) continue;
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = number.min;
    slider.max = number.max;
    slider.step = number.dataset.step;
    slider.value = number.value;
    slider.setAttribute("aria-label", number.labels[0].firstElementChild.textContent);
    slider.addEventListener("input", () => { number.value = slider.value; });
    slider.addEventListener("change", () => number.form.requestSubmit());
    number.addEventListener("input", () => { slider.value = number.value; });
    slider.id = `${number.id}-slider`;
    number.after(slider);
  }
};
document.addEventListener("DOMContentLoaded", () => addSliders(document));
document.addEventListener("htmx:load", (event) => addSliders(event.target));
