/// The script of the page. The key comes in the fragment of the address, which is sent to nobody, and leaves it at once.
let ownerPageScript = #"""
    "use strict";
    (() => {
      const find = (id) => document.getElementById(id);
      let key = "";
      let timer = 0;

      const fragment = new URLSearchParams(location.hash.slice(1));
      if (fragment.get("key")) {
        key = fragment.get("key");
        sessionStorage.setItem("key", key);
        history.replaceState(null, "", location.pathname);
      } else {
        key = sessionStorage.getItem("key") || "";
      }

      function say(text, isWrong) {
        find("message").textContent = text;
        find("message").className = isWrong ? "wrong" : "";
      }

      async function call(path, body) {
        const options = { headers: { Authorization: "Bearer " + key }, credentials: "omit" };
        if (body !== undefined) {
          options.method = "POST";
          options.headers["Content-Type"] = "application/json";
          options.headers["X-CSRF-Token"] = "fxmount-page";
          options.body = JSON.stringify(body);
        }
        const response = await fetch(path, options);
        const answer = await response.json();
        if (!answer.success) {
          const failure = new Error(answer.description);
          failure.status = response.status;
          throw failure;
        }
        return answer.data;
      }

      // Rows are rebuilt only when something changed, so that the focus stays where it is.
      const shown = new Map();
      function fill(id, items, empty, cells) {
        const state = JSON.stringify(items);
        if (shown.get(id) === state) return;
        shown.set(id, state);
        const body = find(id).tBodies[0];
        const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : undefined;
        body.replaceChildren();
        if (items.length === 0) {
          const cell = body.insertRow().insertCell();
          cell.colSpan = find(id).tHead.rows[0].cells.length;
          cell.className = "empty";
          cell.textContent = empty;
          return;
        }
        for (const item of items) {
          const row = body.insertRow();
          for (const content of cells(item)) {
            const cell = row.insertCell();
            if (content instanceof Node) cell.append(content); else cell.textContent = content === null ? "–" : String(content);
          }
        }
        if (focused) { const again = body.querySelector('[data-key="' + CSS.escape(focused) + '"]'); if (again) again.focus(); }
      }

      const day = (time) => time.slice(0, 10);
      const moment = (time) => time.slice(0, 19).replace("T", " ");

      function revokeButton(consent) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "quiet";
        button.dataset.key = consent.origin;
        button.textContent = "Revoke";
        button.setAttribute("aria-label", "Revoke consent of " + consent.origin);
        button.addEventListener("click", () => act(async () => {
          await call("fxmount/v1/consents/revoke", { origin: consent.origin });
          find("origin").focus();
          return "Consent of " + consent.origin + " is revoked.";
        }));
        return button;
      }

      function progressOf(transfer) {
        if (transfer.state !== "RUNNING" || transfer.total === null) return size(transfer.bytes);
        const bar = document.createElement("progress");
        bar.max = Math.max(1, transfer.total);
        bar.value = transfer.bytes;
        bar.setAttribute("aria-label", size(transfer.bytes) + " of " + size(transfer.total));
        return bar;
      }

      function size(bytes) {
        const units = ["B", "KiB", "MiB", "GiB"];
        let unit = 0;
        while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
        return (unit === 0 ? bytes : bytes.toFixed(1)) + " " + units[unit];
      }

      async function refresh() {
        const [consents, types, transfers, refusals] = await Promise.all(
          ["consents", "types", "transfers", "refusals"].map((name) => call("fxmount/v1/" + name)));
        find("locked").hidden = true;
        find("content").hidden = false;
        fill("consents", consents, "Nobody has consent.", (c) => [c.origin, day(c.granted_at), day(c.expires_at), c.granted_by, revokeButton(c)]);
        fill("types", types.types, "There are no types.", (t) => [t.appid, t.entity, t.type, t.status, t.files, t.path]);
        find("running").textContent = transfers.running === 0 ? "Nothing is being transferred."
          : transfers.running + " running, " + size(transfers.bytes) + " of " + size(transfers.total) + ".";
        fill("transfers", transfers.transfers.slice(0, 50), "There were no transfers.", (t) =>
          [t.appid, t.fileName === null ? null : [t.entity, t.type].concat(t.relPath || [], t.fileName).join("/"), t.action, t.state, progressOf(t)]);
        fill("refusals", refusals, "Nothing was refused.", (r) => [moment(r.time), r.origin, r.path.replace("/v3/modules/fileexchange/apps/file/", ""), r.condition, r.code]);
      }

      async function act(action) {
        clearTimeout(timer);
        try {
          const text = await action();
          await refresh();
          if (text !== undefined) say(text, false);
        } catch (failure) {
          if (failure.status === 401) lock(); else say(failure.status ? failure.message : "The server does not answer.", true);
        }
        if (!find("content").hidden) timer = setTimeout(() => act(async () => undefined), 2000);
      }

      function lock() {
        key = "";
        sessionStorage.clear();
        find("content").hidden = true;
        find("locked").hidden = false;
        say("", false);
      }

      function unlock() {
        key = find("key").value.trim();
        find("key").value = "";
        sessionStorage.setItem("key", key);
        act(async () => undefined);
      }

      find("unlock").addEventListener("click", unlock);
      find("key").addEventListener("keydown", (event) => { if (event.key === "Enter") unlock(); });
      find("grant").addEventListener("click", () => act(async () => {
        const origin = find("origin").value.trim();
        const consent = await call("fxmount/v1/consents/grant", { origin, days: Number(find("days").value) });
        find("origin").value = "";
        return consent.origin + " has consent until " + day(consent.expires_at) + ".";
      }));
      find("origin").addEventListener("keydown", (event) => { if (event.key === "Enter") find("grant").click(); });
      fetch("info").then((response) => response.json()).then((info) => {
        find("server").textContent = "fxmount " + info.data.fxmount.version + " on " + location.host;
      }).catch(() => undefined);
      if (key === "") lock(); else act(async () => undefined);
    })();

    """#
