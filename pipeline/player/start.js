// The start page: goes to the page of the stream whose name was typed.

document.getElementById("start").addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(`${encodeURIComponent(document.getElementById("stream").value)}/`);
});
