// The command that the form of commands.md asks for. TASKS is in tasks.js: the tasks of each family.
"use strict";

const form = document.getElementById("builder");
const fields = form.elements;
const command = document.getElementById("command");
const note = document.getElementById("note");
const copy = document.getElementById("copy");

const TRAINING = ["train", "sweep"]; // what takes a backend

function option(value) {
  const element = document.createElement("option");
  element.value = element.textContent = value;
  return element;
}

function showTasks() {
  const tasks = TASKS[fields.family.value];
  document.getElementById("tasks").replaceChildren(...tasks.map(option));
  fields.task.value = tasks[0];
}

function flags() {
  const action = fields.action.value;
  const backend = fields.backend.value;
  const found = [];
  if (action === "film") found.push("--video", "film.mp4");
  if (TRAINING.includes(action) && backend) found.push("--vec.backend", backend);
  return found.join(" ");
}

function text() {
  const action = fields.action.value === "film" ? "eval" : fields.action.value;
  const task = fields.task.value;
  const more = flags();
  const own = { test: "test-env", bench: "bench-env" }[action] || action;
  switch (fields.where.value) {
    case "make":
      return `make ${own} ENV=${task}` + (more && ` ARGS='${more}'`);
    case "docker":
      return (
        `docker run --rm --init=false -v "$PWD/runs:/workspace/runs" pufferlib ` +
        `puffer ${action} ${task}` + (more && ` ${more}`)
      );
    default:
      return `puffer ${action} ${task}` + (more && ` ${more}`);
  }
}

function update() {
  const isKnown = TASKS[fields.family.value].includes(fields.task.value);
  note.textContent = isKnown ? "" : `${fields.family.value} has no task named ${fields.task.value}.`;
  fields.backend.disabled = !TRAINING.includes(fields.action.value);
  command.textContent = isKnown ? text() : "";
  copy.disabled = !isKnown;
  copy.textContent = "Copy";
}

fields.family.replaceChildren(...Object.keys(TASKS).map(option));
fields.family.addEventListener("input", showTasks);
fields.family.addEventListener("change", showTasks);
form.addEventListener("input", update);
form.addEventListener("change", update);
form.addEventListener("submit", (event) => event.preventDefault());
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(command.textContent);
  copy.textContent = "Copied";
});
showTasks();
update();
