// What the page knows of calls to STS and IAM: the list, asked for again and again while it
// is looked at, and each call that was opened. There is no watch of them; a list that has
// not changed is not sent.

import { failed, get, latest, post } from './api.js';

const path = 'aws/explain';
const pauses = { usual: 1000, most: 30000, refused: 60000 };
const most = 50; // opened calls that are kept

// pick takes of a call what is shown and looked for.
function pick(c) {
  const who = c.caller || c.subject || '';
  return {
    id: c.requestID, action: c.action, time: Date.parse(c.time), role: c.role || '', session: c.session || '', source: c.sourceIP || '',
    who, claimed: Boolean(!c.caller && c.subject && !c.verified), code: c.code || '', status: c.status, no: c.saidNo || '',
    text: [c.action, who, c.role, c.session, c.code, c.saidNo, c.requestID, c.sourceIP].join(' ').toLowerCase(),
  };
}

// Calls calls changed after every change of what it holds. state is reading, live, waiting,
// refused or absent; message says why.
export class Calls {
  constructor(changed) {
    Object.assign(this, { changed, state: 'reading', message: '', list: [], opened: new Map(), tried: null, tag: '' });
    document.addEventListener('visibilitychange', () => this.wanted && !document.hidden && this.soon(0));
  }

  // follow begins or ends to ask.
  follow(wanted) {
    if (this.wanted === wanted) return;
    this.wanted = wanted;
    this.failed = 0;
    clearTimeout(this.timer);
    if (wanted) this.soon(0);
  }

  soon(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), pause);
  }

  async read() {
    if (!this.wanted || document.hidden || this.reading) return; // who comes back to the page has it asked
    this.reading = true;
    const begun = Date.now();
    let pause = pauses.usual;
    try {
      const answer = await latest(path + '?brief', this.tag);
      if (answer) {
        this.list = answer.document.records.map(pick);
        this.tag = answer.tag;
      }
      this.failed = 0;
      if (answer || this.state !== 'live') this.is('live');
      pause = Math.max(pause, 4 * (Date.now() - begun)); // what takes long is done less often
    } catch (error) {
      const state = failed(error);
      this.failed++;
      this.tag = '';
      if (state !== 'waiting') {
        this.list = [];
        this.opened.clear();
      }
      this.is(state, error.message);
      pause = state === 'waiting' ? Math.min(pauses.most, pauses.usual * 2 ** (this.failed - 1)) : pauses.refused;
    } finally {
      this.reading = false;
    }
    if (this.wanted) this.soon(pause * (0.9 + Math.random() / 5));
  }

  is(state, message = '') {
    Object.assign(this, { state, message });
    this.changed();
  }

  // open returns a call of that id as {state, record, message}: what was answered does not
  // change any more.
  open(id) {
    let one = this.opened.get(id);
    if (!one) {
      one = { state: 'reading' };
      for (const old of this.opened.keys()) if (this.opened.size >= most) this.opened.delete(old);
      this.opened.set(id, one);
      get(path + '/' + encodeURIComponent(id)).then(
        (record) => Object.assign(one, { state: 'live', record }),
        (error) => {
          Object.assign(one, { state: failed(error), message: error.message });
          if (one.state !== 'absent') setTimeout(() => this.opened.delete(id) && this.changed(), 5000); // asked for anew
        },
      ).then(() => this.changed());
    }
    return one;
  }

  // ask asks what a token would be answered. The token is not kept.
  async ask(question) {
    this.tried = { state: 'reading' };
    this.changed();
    try {
      this.tried = { state: 'live', record: await post(path, question) };
    } catch (error) {
      this.tried = { state: error.code && failed(error) === 'waiting' ? 'declined' : failed(error), message: error.message };
    }
    this.changed();
  }
}
