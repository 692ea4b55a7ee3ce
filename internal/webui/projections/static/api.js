// A collection of the API, kept up to date: listed, then watched from there on, and listed
// again when the server does not know the version any more.
//
// Watches are WebSockets where that can be: browsers let a page, with all of its other
// tabs, have six connections to a server without HTTP/2, as kubectl proxy is one. What is
// asked for as metadata alone needs a header, and so a request.

import { table } from './table.js';

const root = new URL('..', document.baseURI);
const most = 500; // objects in an answer
const pauses = { first: 1000, most: 30000, refused: 60000 };

const pause = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
});

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function refusal(answer) {
  let message = answer.statusText || 'status ' + answer.status;
  try {
    const text = (await answer.text()).trim();
    message = text.slice(0, 2000) || message;
    message = JSON.parse(text).message || message;
  } catch { /* not a Status of the API */ }
  return new Refused(answer.status, message);
}

// get reads one document of the API, or fails with its status as code.
export async function get(path, signal) {
  const answer = await fetch(new URL(path, root), { headers: { Accept: 'application/json' }, signal });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

// latest reads a document that is asked for again and again: null where it is the one of
// that tag still, else its text with its tag.
export async function latest(path, tag, signal) {
  const answer = await fetch(new URL(path, root), { headers: tag ? { Accept: 'application/json', 'If-None-Match': tag } : { Accept: 'application/json' }, cache: 'no-store', signal });
  if (answer.status === 304) return null;
  if (!answer.ok) throw await refusal(answer);
  return { document: await answer.json(), tag: answer.headers.get('ETag') || '' };
}

// post asks a question whose text stands in no address.
export async function post(path, question) {
  const answer = await fetch(new URL(path, root), { method: 'POST', headers: { Accept: 'application/json', 'Content-Type': 'application/json' }, body: JSON.stringify(question) });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

const failures = table({ 401: 'refused', 403: 'refused', 404: 'absent' });

// failed is the state of what could not be read: it is waited for, unless an answer says that
// waiting does not help.
export const failed = (error) => failures[error.code] || 'waiting';

// Collection keeps items, a Map by namespace/name of what pick makes of the objects.
// state is reading, live, waiting, refused or absent; message says why.
export class Collection {
  constructor({ path, pick, metadata, changed }) {
    Object.assign(this, { path, pick, metadata, changed, items: new Map(), state: 'reading', message: '', sockets: !metadata });
    this.end = new AbortController();
    this.run(this.end.signal);
  }

  stop() {
    this.end.abort();
  }

  async run(signal) {
    let failed = 0;
    let version = '';
    while (!signal.aborted) {
      const begun = Date.now();
      try {
        if (!version) version = await this.list(signal);
        version = await this.watch(version, signal);
        failed = Date.now() - begun > 5000 ? 0 : failed + 1;
      } catch (error) {
        if (signal.aborted) return;
        failed++;
        if (error.code !== 410) this.fail(error);
        version = this.state === 'waiting' ? error.version : '';
      }
      if (signal.aborted || !failed) continue;
      const wait = this.state === 'refused' || this.state === 'absent' ? pauses.refused : Math.min(pauses.most, pauses.first * 2 ** (failed - 1));
      await pause(wait * (0.75 + Math.random() / 2), signal);
    }
  }

  is(state, message = '') {
    if (this.state === state && this.message === message) return;
    Object.assign(this, { state, message });
    this.changed();
  }

  fail(error) {
    const state = failed(error);
    if (state !== 'waiting') this.items.clear();
    this.sockets = !this.metadata; // that none was taken may have been as the server was down
    this.is(state, error.message);
  }

  accept(list) {
    const kind = list ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
    return this.metadata ? `application/json;as=${kind};g=meta.k8s.io;v=v1` : 'application/json';
  }

  address(query) {
    const url = new URL(this.path, root);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  async list(signal) {
    const found = new Map();
    for (let next = ''; ;) {
      const answer = await fetch(this.address(next ? { limit: most, continue: next } : { limit: most }), { headers: { Accept: this.accept(true) }, signal });
      if (!answer.ok) throw await refusal(answer);
      const page = await answer.json();
      for (const object of page.items || []) found.set(keyOf(object), this.pick(object));
      next = page.metadata.continue || '';
      if (!next) {
        this.items = found;
        this.is('live');
        this.changed();
        return page.metadata.resourceVersion;
      }
    }
  }

  // watch takes over changes until the server ends the watch, and returns the version
  // that the next one goes on from. An error has it as version.
  async watch(version, signal) {
    const url = this.address({ watch: 1, allowWatchBookmarks: true, resourceVersion: version, timeoutSeconds: 240 + Math.floor(Math.random() * 120) });
    const take = (line) => {
      const { type, object } = JSON.parse(line);
      if (type === 'ERROR') throw new Refused(object.code, object.message);
      version = object.metadata.resourceVersion;
      if (type === 'BOOKMARK') return;
      if (type === 'DELETED') this.items.delete(keyOf(object));
      else this.items.set(keyOf(object), this.pick(object));
      this.changed();
    };
    const open = () => this.is('live');
    try {
      if (this.sockets) this.sockets = await frames(url, signal, open, take); // a proxy may not pass them on
      if (!this.sockets && !signal.aborted) await lines(url, this.accept(false), signal, open, take);
    } catch (error) {
      error.version = version;
      throw error;
    }
    return version;
  }
}

const keyOf = (object) => (object.metadata.namespace || '') + '/' + object.metadata.name;

async function lines(url, accept, signal, open, take) {
  const answer = await fetch(url, { headers: { Accept: accept }, signal });
  if (!answer.ok) throw await refusal(answer);
  open();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    for (const line of parts) if (line) take(line);
  }
}

// frames returns whether the server, and what is between, took the WebSocket.
function frames(url, signal, open, take) {
  const address = new URL(url);
  address.protocol = { 'http:': 'ws:', 'https:': 'wss:' }[url.protocol];
  return new Promise((done, fail) => {
    let socket;
    let opened = false;
    try {
      socket = new WebSocket(address);
    } catch {
      done(false); // browsers of old take 'self' of the page's policy for http alone
      return;
    }
    const end = () => socket.close();
    signal.addEventListener('abort', end, { once: true });
    socket.onopen = () => {
      opened = true;
      open();
    };
    socket.onmessage = (event) => {
      try {
        take(event.data);
      } catch (error) {
        fail(error);
        socket.close();
      }
    };
    socket.onclose = () => {
      signal.removeEventListener('abort', end);
      done(opened);
    };
  });
}
