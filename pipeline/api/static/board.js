// Searches, filters, orders and pages the table of a board in place, and keeps the address in step.
// Without this script the same form and the same links do so through the server, with the same results.
"use strict";
(() => {
  const table = document.querySelector("table.board[data-listed]");
  const form = document.querySelector("form.filter");
  const shown = document.getElementById("shown");
  if (!table || !form || !shown) return;
  const body = table.tBodies[0];
  const frame = table.closest(".scroll");
  const perPage = Number(table.dataset.pageRows);
  const listed = Number(table.dataset.listed);
  const columns = table.tHead.rows[0].cells.length;
  const count = new Intl.NumberFormat("en-US");
  const defaults = { q: "", provider: "", license: "", sort: "rank", page: "1" };
  const descending = ["votes", "moved"];
  let wanted = stateOf(location);
  let rows = null;
  let asked = null;

  function stateOf(address) {
    const given = new URL(address.href).searchParams;
    return Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, given.get(name) ?? value]));
  }

  const inAddress = (name) => new URLSearchParams(location.search).get(name);

  function addressOf(state, by = inAddress("by")) {
    const query = new URLSearchParams();
    for (const [name, value] of [["by", by], ["board", inAddress("board")]]) if (value !== null) query.set(name, value);
    for (const [name, value] of Object.entries(state)) if (value !== defaults[name]) query.set(name, value);
    const text = query.toString();
    return `${location.pathname}${text ? `?${text}` : ""}`;
  }

  // The letters without their case, as the server compares them: "ß" is "ss" and the three forms of sigma are one.
  function folded(text) {
    const fold = (letter) => (letter === "ı" ? letter : letter.toLowerCase().toUpperCase().toLowerCase());
    return Array.from(text, fold).join("");
  }

  function readRow(row) {
    const number = (name) => (row.dataset[name] === "" ? null : Number(row.dataset[name]));
    const model = row.querySelector("th[scope=row] > a").textContent;
    return {
      row, place: number("place"), votes: number("votes"), interval: number("width"), moved: number("moved"),
      model: folded(model), provider: row.dataset.provider, license: row.dataset.license,
      maker: folded(row.dataset.provider), text: folded(`${model}\n${row.dataset.provider}`),
    };
  }

  function rowsOf(part) {
    return [...part.querySelectorAll("table.board > tbody > tr[data-place]")].map(readRow);
  }

  // The page has all rows, or the server is asked once for those of its other pages.
  function load() {
    asked ??= (async () => {
      const own = rowsOf(document);
      if (own.length === listed) return own;
      const answer = await fetch(addressOf({ ...defaults, page: "0" }), { credentials: "same-origin" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const found = rowsOf(new DOMParser().parseFromString(await answer.text(), "text/html"));
      if (found.length !== listed) throw new Error(`${found.length} rows instead of ${listed}`);
      return found;
    })().then((found) => {
      rows = found.sort((a, b) => a.place - b.place);
    });
    return asked;
  }

  const text = (name) => (a, b) => (a[name] < b[name] ? -1 : a[name] > b[name] ? 1 : 0);
  const orders = {
    rank: () => 0,
    model: text("model"),
    provider: (a, b) => (a.provider === "") - (b.provider === "") || text("maker")(a, b),
    votes: (a, b) => b.votes - a.votes,
    interval: (a, b) => a.interval - b.interval,
    moved: (a, b) => (a.moved === null) - (b.moved === null) || b.moved - a.moved,
  };

  function chosen() {
    const words = folded(wanted.q.trim());
    return rows
      .filter((one) => one.text.includes(words))
      .filter((one) => wanted.provider === "" || one.provider === wanted.provider)
      .filter((one) => wanted.license === "" || one.license === wanted.license)
      .sort(orders[wanted.sort] ?? orders.rank); // a stable sort keeps the order by rank among equals
  }

  function show() {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / perPage));
    const page = wanted.page === "0" ? 0 : Math.min(Math.max(1, Number(wanted.page) || 1), pages);
    const part = page === 0 ? found : found.slice((page - 1) * perPage, page * perPage);
    body.replaceChildren(...(part.length ? part.map((one) => one.row) : [emptyRow()]));
    for (const link of table.tHead.querySelectorAll("a[data-sort]")) showOrder(link);
    for (const link of document.querySelectorAll("nav#board a")) showView(link);
    showNumber(found.length);
    showPages(pages, page, found.length);
  }

  function emptyRow() {
    const row = document.createElement("tr");
    const cell = row.insertCell();
    cell.colSpan = columns;
    cell.textContent = "No model matches.";
    return row;
  }

  function showOrder(link) {
    const name = link.dataset.sort;
    const cell = link.closest("th");
    link.href = `${addressOf({ ...wanted, sort: name, page: "1" })}#board`;
    if (wanted.sort !== name) cell.removeAttribute("aria-sort");
    else cell.setAttribute("aria-sort", descending.includes(name) ? "descending" : "ascending");
  }

  // The other views of the same board show what is shown here.
  function showView(link) {
    link.href = `${addressOf({ ...wanted, page: "1" }, new URL(link.href).searchParams.get("by"))}#board`;
  }

  function linkTo(state, label) {
    const link = document.createElement("a");
    link.href = `${addressOf(state)}#board`;
    link.dataset.state = JSON.stringify(state);
    link.append(label);
    return link;
  }

  function showNumber(number) {
    if (wanted.q.trim() === "" && wanted.provider === "" && wanted.license === "") return shown.replaceChildren();
    const all = linkTo({ ...wanted, q: "", provider: "", license: "", page: "1" }, "Show all models");
    const models = listed === 1 ? "model" : "models";
    return shown.replaceChildren(`${count.format(number)} of ${count.format(listed)} ${models}. `, all);
  }

  function showPages(pages, page, number) {
    document.querySelector("nav.pages")?.remove();
    if (pages === 1) return;
    const nav = document.createElement("nav");
    nav.className = "pages";
    nav.setAttribute("aria-label", "Pages of the board");
    const list = nav.appendChild(document.createElement("ul"));
    for (let one = 1; one <= pages + 1; one += 1) {
      const target = one > pages ? 0 : one;
      const link = linkTo({ ...wanted, page: String(target) }, target ? String(target) : `All ${count.format(number)}`);
      if (target) {
        const word = document.createElement("span");
        word.className = "visually-hidden";
        word.textContent = "Page ";
        link.prepend(word);
      }
      if (target === page) link.setAttribute("aria-current", "page");
      list.appendChild(document.createElement("li")).append(link);
    }
    frame.after(nav);
  }

  // One entry of the history for each choice, but not for each letter of a search.
  function go(state, { replace = false } = {}) {
    wanted = state;
    return load().then(() => {
      if (wanted !== state) return; // a later choice is shown instead
      history[replace ? "replaceState" : "pushState"](null, "", addressOf(wanted));
      show();
    }, () => location.assign(`${addressOf(state)}#board`));
  }

  function fillForm() {
    for (const name of ["q", "provider", "license", "sort"]) {
      if (form.elements[name]) form.elements[name].value = wanted[name];
    }
  }

  function readForm() {
    const given = new FormData(form);
    const state = { ...wanted, page: "1" };
    for (const name of ["q", "provider", "license", "sort"]) state[name] = given.get(name) ?? wanted[name];
    return state;
  }

  form.addEventListener("input", (event) => go(readForm(), { replace: event.target.name === "q" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(readForm(), { replace: true });
  });
  form.addEventListener("focusin", () => load().catch(() => {}), { once: true });

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-sort], a[data-state]");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const state = link.dataset.sort ? { ...wanted, sort: link.dataset.sort, page: "1" } : JSON.parse(link.dataset.state);
    const paged = link.closest("nav.pages");
    go(state).then(() => {
      fillForm();
      if (paged) {
        document.querySelector("nav.pages a[aria-current]")?.focus({ preventScroll: true });
        document.getElementById("board")?.scrollIntoView();
      } else if (!link.isConnected) {
        form.elements.q.focus();
      }
    });
  });

  window.addEventListener("popstate", () => {
    const state = stateOf(location);
    if (JSON.stringify(state) === JSON.stringify(wanted)) return; // a link inside the page
    wanted = state;
    fillForm();
    load().then(show, () => location.reload());
  });

  for (const link of document.querySelectorAll("nav.pages a, #shown a")) {
    link.dataset.state = JSON.stringify(stateOf(new URL(link.href)));
  }
  form.querySelector("button").hidden = true; // each change shows at once
})();
