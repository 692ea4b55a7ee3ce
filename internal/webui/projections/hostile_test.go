package projections_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTextsFromElsewhereAreShownAsTheyAre draws a pod of which every text is hostile, with as
// much of a browser's document as the page's modules need for that.
func TestTextsFromElsewhereAreShownAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("static")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"package.json": `{"type": "module"}`, "test.js": hostile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "test.js")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const hostile = `
import assert from 'node:assert';

globalThis.Node = class {
  constructor(tag) { Object.assign(this, { tag, attributes: new Map(), children: [] }); }
  setAttribute(name, value) { this.attributes.set(name, value); }
  append(...children) { this.children.push(...children); }
};
globalThis.document = {
  createElement: (tag) => new Node(tag), createElementNS: (_, tag) => new Node(tag),
  createTextNode: (text) => Object.assign(new Node('#text'), { text }),
};
const texts = (e) => Array.isArray(e) ? e.flatMap(texts) : e instanceof Node
  ? [e.text ?? '', ...['aria-label', 'title'].map((a) => e.attributes.get(a) ?? ''), ...e.children.flatMap(texts)] : [];

const { h } = await import('./dom.js');
const model = await import('./model.js');
const parts = await import('./parts.js');
const pod = await import('./pod.js');
const lists = await import('./lists.js');
const identity = await import('./identity.js');
const call = await import('./call.js');
const calllist = await import('./calllist.js');

assert.deepEqual(texts(h('p', { title: 'a\u202eb', 'data-key': 'a\u202eb' }, 'x\u202ey\nz\r')), ['', '', 'a\\u{202e}b', 'x\\u{202e}y\nz\\u{d}', '', '']);

for (const odd of ['constructor', '__proto__', 'toString', 'e\u202evil\u200b\u0007']) {
  for (const table of [model.states, model.orders]) assert.equal(table[odd], undefined);
  const time = new Date(0).toISOString();
  const store = {
    pods: { state: 'live', items: new Map([['ns/' + odd, {
      namespace: 'ns', name: odd, created: 0, node: odd, phase: odd, mounts: [{ container: odd, volume: odd, path: odd, part: odd }],
      volumes: [{ name: odd, kind: 'projected', spec: { sources: [{ secret: { name: odd, items: [{ path: odd, key: odd }] } }] } }],
    }]]) },
    projections: { state: 'live', items: new Map([['ns/' + odd, { node: odd, status: {
      conditions: [{ type: 'InStep', status: 'False', reason: odd, message: odd }],
      volumes: [{ name: odd, generation: odd, digest: odd, problem: odd, publishedTime: time,
        sources: [{ kind: odd, name: odd, publishedVersion: odd, observedVersion: odd }, { kind: 'Secret', name: odd, publishedVersion: odd, observedVersion: odd + '2' }],
        tokens: [{ path: odd, audience: odd, issuedTime: time, rotationTime: new Date(1e12).toISOString(), expirationTime: new Date(9e12).toISOString() }],
        checks: [{ container: odd, action: odd, result: odd, time, message: odd }] }],
    } }]]) },
    configMaps: { state: 'live', items: new Map() },
    issuers: { state: 'live', list: [{ issuer: odd, state: odd, until: time }] },
    authentications: { items: new Map([['/cluster', { spec: { serviceAccountIssuer: odd } }]]) },
    servers: { state: 'live', items: new Map([['/cluster', { status: { conditions: [{ type: 'ServiceAccountIssuerDegraded', status: 'True', message: odd }], latestAvailableRevision: 2, nodeStatuses: [{ nodeName: odd, currentRevision: 1 }] } }]]) },
    keys: { state: 'live', items: new Map([[odd, { metadata: { name: odd }, spec: { type: odd }, status: { state: odd, published: time, signsFrom: time } }]]) },
  };
  const row = model.find(store, 'ns/' + odd);
  assert.equal(row.state, 'behind');
  const to = (path) => '#' + encodeURIComponent(path);
  const record = {
    requestID: odd, service: odd, action: odd, time, role: odd, session: odd, caller: odd, sourceIP: odd, userAgent: odd, host: odd, path: odd, region: odd,
    token: { issuer: odd, subject: odd, audiences: [odd], authorizedParty: odd, keyID: odd, algorithm: odd, claims: [odd] }, code: odd, message: odd, status: 400,
    checks: [{ name: odd, verdict: odd, got: odd, want: odd, why: odd, hints: [odd] }, { name: odd, verdict: 'no', got: odd, want: odd, why: odd, hints: [odd] }],
    decision: [{ outcome: odd, layer: odd, action: odd, evaluations: [{ layer: odd, source: odd, statements: [{ index: 0, sid: odd, effect: odd,
      principal: { policy: [{ type: odd, value: odd }], request: { federated: odd } }, action: { element: odd, policy: [odd], request: odd }, conditions: [{ operator: odd, key: odd, policy: [odd], present: true, request: [odd] }] }] }] }],
  };
  const calls = { tried: null, open: () => ({ state: 'live', record }) };
  const listed = [{ id: odd, action: odd, time: 0, role: odd, session: odd, who: odd, code: odd, no: odd, text: odd }];
  assert.equal(calllist.answers[odd], undefined);
  const shown = texts([call.open(calls, odd, (path) => '#' + path), call.open({ open: () => ({ state: odd, message: odd }) }, odd, (path) => '#' + path), calllist.list(listed, odd, (path) => '#' + path), calllist.refused(odd), pod.show(row, to), lists.tokens([row], to), lists.updates([row], to), identity.show(store), parts.chip(odd, odd), parts.kind(odd)].flat(Infinity));
  assert.ok(shown.length > 100);
  for (const text of shown) assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u200b-\u200f\u202a-\u202e]|native code|\[object/, JSON.stringify(text));
  assert.ok(shown.some((text) => text.includes(odd.startsWith('e') ? 'e\\u{202e}vil\\u{200b}\\u{7}' : odd)));
}
`
