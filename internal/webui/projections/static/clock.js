// What time it is for the server, and how times are said.
//
// Tokens, keys and issuers live by the system's clock, which a test may have moved; files
// and objects by the wall's.

import { h } from './dom.js';

const ahead = { system: 0, wall: 0 };

// now is the server's time in milliseconds, of one of its two clocks.
export const now = (which) => Date.now() + ahead[which];

// moved is how far a test has moved the system's clock, in milliseconds.
export const moved = () => (Math.abs(ahead.system - ahead.wall) < 500 ? 0 : ahead.system - ahead.wall);

// ask sets the time by the server's. Without an answer the browser's is taken.
export async function ask() {
  const before = Date.now();
  const answer = await fetch('clock', { cache: 'no-store' });
  if (!answer.ok) return;
  const time = await answer.json();
  const middle = (before + Date.now()) / 2;
  for (const which of ['system', 'wall']) {
    const told = Date.parse(time[which]);
    if (Number.isFinite(told)) ahead[which] = told - middle;
  }
}

const units = [[365 * 86400, 'y', 86400, 'd'], [86400, 'd', 3600, 'h'], [3600, 'h', 60, 'm'], [60, 'm', 1, 's']];

// span says how long something takes: 3d 4h, 95m, 12s.
export function span(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  for (const [size, unit, smaller, rest] of units) {
    if (s < size) continue;
    const part = Math.floor((s % size) / smaller);
    return s >= 10 * size || !part ? Math.floor(s / size) + unit : Math.floor(s / size) + unit + ' ' + part + rest;
  }
  return s + 's';
}

// brief is span in one unit.
const brief = (ms) => span(ms).split(' ')[0];

// relative says where a time is from now.
export function relative(at, which, say = span) {
  const left = at - now(which);
  if (left >= 1000) return 'in ' + say(left);
  return left > -1000 ? 'just now' : say(left) + ' ago';
}

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

// clockTime is a time as clocks show it, with its day where that is not today's.
export function clockTime(at, which) {
  const of = new Date(at);
  const time = of.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
  if (sameDay(at, now(which))) return time;
  return of.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' }) + ', ' + time;
}

// when is an element that says where a time is from now, and goes on saying so.
export function when(at, which = 'wall', short = false) {
  return h('time', { datetime: new Date(at).toISOString(), title: clockTime(at, which), 'data-at': at, 'data-clock': which, 'data-short': short }, relative(at, which, short ? brief : span));
}

// tick brings the elements up to date that say a time.
export function tick(root) {
  for (const e of root.querySelectorAll('time[data-at]')) {
    const text = relative(Number(e.dataset.at), e.dataset.clock, 'short' in e.dataset ? brief : span);
    if (e.textContent !== text) e.textContent = text;
  }
}
