// Shows /v1/openapi.json: routes, parameters, schemas, and tries requests. Everything is made by
// DOM calls from text, never from markup, so that nothing in a description can become code.
"use strict";

let api;

/** An element: its name (with classes after dots), attributes, and what is in it. */
function make(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Text in which `code` stands in backquotes, and lists begin with a dash. */
function prose(text = "") {
  const inline = (line) => line.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
  return text.trim().split(/\n{2,}|\n(?=- )/).map((part) => make("p", {}, ...inline(part.replaceAll("\n", " "))));
}

/** Follows a reference. */
function resolve(value) {
  while (value?.$ref) value = value.$ref.slice(2).split("/").reduce((at, key) => at?.[key], api);
  return value ?? {};
}

function typeName(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf || schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "array") return `${typeName(schema.items ?? {})}[]`;
  return [schema.type ?? "any"].flat().join(" | ");
}

/** A schema as a tree that opens at a click; what refers to itself is made only when it is opened. */
function tree(schema, depth = 0) {
  const found = resolve(schema);
  const rows = [];
  if (found.description && depth === 0) rows.push(...prose(found.description));
  for (const part of found.allOf ?? []) rows.push(tree(part, depth + 1));
  for (const [name, field] of Object.entries(found.properties ?? {})) {
    const must = found.required?.includes(name) ? "" : "?";
    const told = resolve(field).description ?? "";
    const line = [make("code", {}, name + must), " ", make("span.dim", {}, `${typeName(field)} ${told}`)];
    const inner = [field.items, field, ...(field.anyOf ?? [])].map((one) => one && resolve(one)).find((one) => one?.properties);
    if (!inner) {
      rows.push(make("div", {}, ...line));
      continue;
    }
    const open = make("details", {}, make("summary", {}, ...line));
    open.addEventListener("toggle", () => open.append(tree(inner, depth + 1)), { once: true });
    rows.push(open);
  }
  if (!rows.length) rows.push(make("span.dim", {}, typeName(found)));
  return make("div", {}, ...rows);
}

/** An example of a schema: its own, or one made of its fields that must be there. */
function example(schema, depth = 0) {
  const found = resolve(schema);
  if (found.example !== undefined) return found.example;
  if (found.enum) return found.enum[0];
  if (depth > 4) return null;
  if (found.type === "object") {
    const fields = Object.entries(found.properties ?? {}).filter(([name]) => found.required?.includes(name));
    return Object.fromEntries(fields.map(([name, field]) => [name, example(field, depth + 1)]));
  }
  return { string: "text", integer: found.minimum ?? 0, number: 0, boolean: true, array: [] }[found.type] ?? null;
}

/** The form that tries an operation. */
function tryIt(method, path, parameters, body) {
  const inputs = new Map();
  const rows = parameters.map((parameter) => {
    const input = make("input", { "aria-label": parameter.name, placeholder: parameter.in, spellcheck: "false" });
    inputs.set(parameter, input);
    const name = parameter.name + (parameter.required ? "" : "?");
    const told = [...prose(parameter.description), make("span.dim", {}, typeName(parameter.schema ?? {}))];
    return make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, ...told), make("td", {}, input));
  });
  const kinds = Object.keys(body?.content ?? {});
  const kind = make("input", { "aria-label": "Content-Type", value: kinds[0] ?? "" });
  const schema = body?.content?.[kinds[0]]?.schema;
  const text = make("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (schema) text.value = JSON.stringify(example(schema), null, 2);

  const request = () => {
    const headers = {};
    const query = new URLSearchParams();
    let url = path;
    for (const [parameter, { value }] of inputs) {
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value && parameter.in === "query") query.set(parameter.name, value);
      else if (value) headers[parameter.name] = value;
    }
    if (query.size) url += `?${query}`;
    if (body && text.value) headers["Content-Type"] = kind.value;
    return { url, headers, body: body && text.value ? text.value : undefined };
  };
  const shown = make("div", { "aria-live": "polite" });
  const send = make("button", { type: "submit" }, "Send");
  const run = async (event) => {
    event.preventDefault();
    const { url, ...rest } = request();
    send.disabled = true;
    const began = performance.now();
    try {
      const answer = await fetch(url, { method: method.toUpperCase(), ...rest });
      let content = await answer.text();
      const took = (performance.now() - began).toFixed(1);
      if (answer.headers.get("content-type")?.endsWith("json")) {
        // Numbers that a script would round are shown as they came.
        const parsed = JSON.parse(content);
        if (JSON.stringify(parsed) === content) content = JSON.stringify(parsed, null, 2);
      }
      const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      const status = `${answer.status} ${answer.statusText} in ${took} ms`;
      shown.replaceChildren(make("h3", {}, status), make("pre", {}, headers), make("pre", {}, content));
    } catch (error) {
      shown.replaceChildren(make("pre", {}, String(error)));
    } finally {
      send.disabled = false;
    }
  };
  const curl = () => {
    const { url, headers, body } = request();
    const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const parts = [`curl -X ${method.toUpperCase()} ${quote(location.origin + url)}`];
    for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
    if (body) parts.push(`-d ${quote(body)}`);
    shown.replaceChildren(make("pre", {}, parts.join(" \\\n  ")));
  };
  const bodyForm = body ? [make("h3", {}, "Body"), kind, text, ...(schema ? [tree(schema)] : [])] : [];
  const table = rows.length ? [make("h3", {}, "Parameters"), make("table", {}, ...rows)] : [];
  const buttons = make("p", {}, send, make("button", { type: "button", onclick: curl }, "As curl"));
  return make("form", { onsubmit: run }, ...table, ...bodyForm, buttons, shown);
}

function answers(responses) {
  return Object.entries(responses).map(([status, answer]) => {
    const [kind, content] = Object.entries(answer.content ?? {})[0] ?? [];
    const summary = answer.description.startsWith("-") ? "" : answer.description;
    const line = make("summary", {}, make("code", {}, status), make("span.what", {}, summary || kind || ""));
    const headers = Object.keys(answer.headers ?? {}).join(", ");
    const inner = summary ? [] : prose(answer.description);
    const shape = content?.schema ? [make("p.dim", {}, kind), tree(content.schema)] : [];
    return make("details", {}, line, make("div.body", {}, ...inner, ...shape, make("p.dim", {}, `Headers: ${headers}`)));
  });
}

function operation(path, method, described) {
  const line = make("summary", {}, make(`span.method.${method}`, {}, method.toUpperCase()),
    make("span.path", {}, path), make("span.what", {}, described.summary));
  const element = make("details", { id: described.operationId }, line);
  // Made when it is opened: a page of everything at once would be slow.
  element.addEventListener("toggle", () => {
    const parameters = (described.parameters ?? []).map(resolve);
    const order = ["path", "query", "header"];
    parameters.sort((a, b) => order.indexOf(a.in) - order.indexOf(b.in));
    element.append(make("div.body", {}, ...prose(described.description), tryIt(method, path, parameters, described.requestBody),
      make("h3", {}, "Answers"), ...answers(described.responses)));
  }, { once: true });
  return element;
}

function openNamed() {
  const element = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (element?.tagName === "DETAILS") element.open = true;
  element?.scrollIntoView();
}

async function start() {
  const answer = await fetch("/v1/openapi.json");
  if (!answer.ok) throw new Error(`/v1/openapi.json: ${answer.status}`);
  api = await answer.json();
  const main = document.getElementById("main");
  const contents = document.getElementById("contents");
  const source = make("a", { href: "/v1/openapi.json" }, "OpenAPI description");
  main.replaceChildren(make("h1", {}, `${api.info.title} ${api.info.version}`), ...prose(api.info.description), make("p", {}, source));
  for (const tag of api.tags) {
    const section = make("section", {}, make("h2", {}, tag.name), make("p.dim", {}, tag.description ?? ""));
    const links = make("div", {}, make("h2", {}, tag.name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, described] of Object.entries(item)) {
        if (!described.tags?.includes(tag.name)) continue;
        section.append(operation(path, method, described));
        const link = make("a", { href: `#${described.operationId}` }, described.summary);
        link.dataset.words = `${method} ${path} ${described.summary} ${described.operationId}`.toLowerCase();
        links.append(link);
      }
    }
    main.append(section);
    contents.append(links);
  }
  const schemas = Object.keys(api.components.schemas).sort();
  const open = (name) => make("details", { id: `schema-${name}` }, make("summary", {}, make("code", {}, name)),
    make("div.body", {}, tree({ $ref: `#/components/schemas/${name}` })));
  main.append(make("section", {}, make("h2", {}, "Schemas"), ...schemas.map(open)));
  openNamed();
}

const filter = document.getElementById("filter");
filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase().split(/\s+/);
  for (const link of document.querySelectorAll("#contents a")) {
    link.classList.toggle("hidden", !wanted.every((word) => link.dataset.words.includes(word)));
  }
});
addEventListener("hashchange", openNamed);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || /INPUT|TEXTAREA/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  filter.focus();
});
start().catch((error) => document.getElementById("main").replaceChildren(make("pre", {}, String(error))));
