// Asks our own server for a part of a page. Whether it answered is told to the page, which has banners for it.

/** The answer, whatever its status. Throws a sentence where there is none, and where the session has ended. */
export async function fetchPart(url) {
  let response;
  try {
    response = await fetch(url, { headers: { "X-Requested-With": "XMLHttpRequest" }, redirect: "manual" });
  } catch {
    document.dispatchEvent(new CustomEvent("fn:unreachable"));
    throw new Error("The server cannot be reached: what is shown may be out of date.");
  }
  document.dispatchEvent(new CustomEvent("fn:reachable"));
  // the way to the login page
  if (response.type === "opaqueredirect" || response.status === 401) {
    const banner = document.getElementById("signedout-banner");
    if (banner) banner.hidden = false;
    throw new Error("Your session has ended.");
  }
  return response;
}

/** JSON. Throws a sentence where there is none. */
export async function fetchJson(url) {
  const response = await fetchPart(url);
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}
