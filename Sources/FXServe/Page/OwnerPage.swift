/// The page at `/`: what is in it comes from the same API, with the owner's key.
///
/// It shows text only as text (`textContent`), so no name of a file or origin can become part of it.
let ownerPage = #"""
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>fxmount: file exchange</title>
    <link rel="stylesheet" href="page.css">
    <script src="page.js" defer></script>
    </head>
    <body>
    <a class="skip" href="#main">Skip to content</a>
    <header><h1>File exchange</h1><p id="server">fxmount</p></header>
    <main id="main" tabindex="-1">
    <p id="message" role="status" aria-live="polite"></p>
    <section id="locked" aria-labelledby="locked-title" hidden>
    <h2 id="locked-title">Owner's key needed</h2>
    <p>Open the address that <code>fxmount serve</code> printed, or enter the key from <code>serve.key</code> in the state directory.</p>
    <p><label for="key">Owner's key</label> <input id="key" type="password" autocomplete="off" spellcheck="false">
    <button id="unlock" type="button">Unlock</button></p>
    </section>
    <div id="content" hidden>
    <section aria-labelledby="consents-title">
    <h2 id="consents-title">Consents</h2>
    <p>Pages of these origins may work with the files of their own types.</p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="consents-title"><table id="consents">
    <thead><tr><th scope="col">Origin</th><th scope="col">Given</th><th scope="col">Until</th><th scope="col">By</th><th scope="col">Action</th></tr></thead>
    <tbody></tbody></table></div>
    <p class="fields"><label for="origin">Origin</label> <input id="origin" type="url" placeholder="https://app.example.org" autocomplete="off" spellcheck="false">
    <label for="days">Days</label> <input id="days" type="number" min="1" max="36500" value="365">
    <button id="grant" type="button">Give consent</button></p>
    </section>
    <section aria-labelledby="types-title">
    <h2 id="types-title">Types</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="types-title"><table id="types">
    <thead><tr><th scope="col">Application</th><th scope="col">Entity</th><th scope="col">Type</th><th scope="col">Status</th><th scope="col">Files</th><th scope="col">Directory</th></tr></thead>
    <tbody></tbody></table></div>
    </section>
    <section aria-labelledby="transfers-title">
    <h2 id="transfers-title">Transfers</h2>
    <p id="running"></p>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="transfers-title"><table id="transfers">
    <thead><tr><th scope="col">Application</th><th scope="col">File</th><th scope="col">Action</th><th scope="col">State</th><th scope="col">Progress</th></tr></thead>
    <tbody></tbody></table></div>
    </section>
    <section aria-labelledby="refusals-title">
    <h2 id="refusals-title">Recent refusals</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="refusals-title"><table id="refusals">
    <thead><tr><th scope="col">Time</th><th scope="col">Origin</th><th scope="col">Function</th><th scope="col">Reason</th><th scope="col">Code</th></tr></thead>
    <tbody></tbody></table></div>
    </section>
    </div>
    <noscript><p>This page needs JavaScript. <code>fxmount consent list</code> and <code>fxmount type list</code> show the same.</p></noscript>
    </main>
    </body>
    </html>

    """#

let ownerPageStyle = #"""
    :root { color-scheme: light dark; --line: #c3c8d0; --ink: #1b1f27; --ground: #ffffff; --soft: #f3f5f8; --accent: #0b57a4; --on-accent: #ffffff; --muted: #535b69; --danger: #a1240f; }
    @media (prefers-color-scheme: dark) { :root { --line: #464d5a; --ink: #e8eaee; --ground: #14171c; --soft: #1e232b; --accent: #8abaf0; --on-accent: #10151c; --muted: #aab2bf; --danger: #ff9d8a; } }
    * { box-sizing: border-box; }
    body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
    header { padding: 1rem 1.5rem; background: var(--soft); border-bottom: 1px solid var(--line); }
    header h1 { margin: 0; font-size: 1.4rem; } header p { margin: 0; color: var(--muted); }
    main { max-width: 70rem; margin: 0 auto; padding: 0.5rem 1.5rem 3rem; }
    main:focus { outline: none; }
    h2 { font-size: 1.15rem; margin: 1.8rem 0 0.4rem; }
    p { margin: 0.4rem 0; }
    #message:empty { display: none; }
    #message { padding: 0.5rem 0.8rem; border-left: 4px solid var(--accent); background: var(--soft); }
    #message.wrong { border-color: var(--danger); }
    .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
    table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
    th, td { text-align: left; padding: 0.4rem 0.7rem; vertical-align: top; border-bottom: 1px solid var(--line); }
    tbody tr:last-child td { border-bottom: 0; }
    th { background: var(--soft); font-weight: 600; white-space: nowrap; }
    td { overflow-wrap: anywhere; }
    td.empty { color: var(--muted); }
    progress { width: 8rem; vertical-align: middle; }
    .fields { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
    input { font: inherit; padding: 0.3rem 0.5rem; border: 1px solid var(--muted); border-radius: 4px; background: var(--ground); color: inherit; }
    #origin { width: 20rem; max-width: 100%; } #days { width: 6rem; } #key { width: 26rem; max-width: 100%; }
    button { font: inherit; padding: 0.3rem 0.9rem; border: 1px solid var(--accent); border-radius: 4px; background: var(--accent); color: var(--on-accent); cursor: pointer; }
    button.quiet { background: transparent; color: var(--danger); border-color: var(--danger); }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
    .skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; top: 0.5rem; background: var(--ground); padding: 0.3rem 0.6rem; }

    """#
