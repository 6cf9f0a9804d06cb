// The form of a campaign speaks of times in the reader's own zone, unless another was chosen already.

const zone = document.querySelector("form[data-guess-zone] [data-zone]");
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && here) zone.value = here;
