// Sizes, speeds and lengths of time as the server's pages say them.

const UNITS = ["KiB", "MiB", "GiB"];

/** Bytes: "512 B", "1.5 MiB". */
export function sizeText(bytes) {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes;
  for (const unit of UNITS) {
    value /= 1024;
    if (value < 1023.95 || unit === UNITS.at(-1)) return `${value.toFixed(value >= 99.95 ? 0 : 1)} ${unit}`;
  }
  return "";
}

/** Bytes per second: "12.3 KiB/s". */
export function speedText(speed) {
  return `${sizeText(speed)}/s`;
}

/** Seconds: "40 s", "12 min", "3 h". */
export function spanText(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
