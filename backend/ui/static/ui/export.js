// The export form: times are chosen in the browser's zone and sent in UTC. Without this script they are typed as ISO.

const pad = (number, width = 2) => String(number).padStart(width, "0");

/** What a datetime-local field takes, in the browser's zone; "" where the text is no time. */
function local(text) {
  const moment = new Date(text);
  if (!text || Number.isNaN(moment.getTime())) return "";
  const date = `${pad(moment.getFullYear(), 4)}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
  return `${date}T${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}`;
}

for (const field of document.querySelectorAll("#export [data-moment]")) {
  const sent = document.createElement("input");
  sent.type = "hidden";
  sent.name = field.name;
  sent.value = field.value;
  if (field.value && !local(field.value)) continue; // what cannot be understood stays to be seen
  field.removeAttribute("name");
  field.value = local(sent.value); // before it is a field that takes nothing else
  field.type = "datetime-local";
  field.step = "1";
  field.addEventListener("change", () => {
    sent.value = field.value ? new Date(field.value).toISOString() : "";
  });
  field.after(sent);
}
