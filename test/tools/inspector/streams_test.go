package inspector

import (
	"slices"
	"strings"
	"testing"

	"laterna.dev/laterna/test/tools/browser"
)

// script follows a collection whose server does what the answers say, and returns what was
// asked for and which objects were known then. It ends with the last answer.
const script = `(async () => {
  const { Collection } = await import('./api.js');
  const { fetch: realFetch, WebSocket: realSocket, setTimeout: realTimeout } = window;
  const log = [];
  let collection, end;
  const over = new Promise((done) => { end = done; });
  const object = (name, version) => ({ metadata: { name, resourceVersion: String(version) } });
  const answers = ANSWERS;
  const next = (what) => {
    log.push(what + ' [' + [...(collection ? collection.items.keys() : [])].join(' ') + '] ' + (collection ? collection.state : ''));
    if (!answers.length) { end(); return new Promise(() => {}); }
    return answers.shift();
  };
  const asked = (url) => url.searchParams.get('watch') ? 'watch ' + url.searchParams.get('resourceVersion') : 'list' + (url.searchParams.get('continue') || '');
  window.setTimeout = (f, ms) => realTimeout(f, ms / 100);
  window.fetch = async (url, options) => {
    if (!String(url).includes('/things')) return realFetch(url, options);
    const a = await next(asked(url));
    if (a.down) throw new TypeError('Failed to fetch');
    if (a.status) return new Response(JSON.stringify({ message: 'no' }), { status: a.status });
    if (a.list) return new Response(JSON.stringify({ metadata: { resourceVersion: String(a.version), continue: a.more }, items: a.list.map((n) => object(n, 1)) }));
    return new Response(a.events.map((e) => JSON.stringify(e)).join('\n') + '\n');
  };
  window.WebSocket = class {
    constructor(url) {
      if (!String(url).includes('/things')) return new realSocket(url);
      Promise.resolve(next('socket ' + asked(url))).then((a) => {
        if (a.events) this.onopen();
        for (const e of a.events || []) this.onmessage({ data: JSON.stringify(e) });
        this.onclose();
      });
    }
    close() {}
  };
  collection = new Collection({ path: 'api/v1/things', pick: (o) => o, metadata: METADATA, changed: () => {} });
  await over;
  collection.stop();
  Object.assign(window, { fetch: realFetch, WebSocket: realSocket, setTimeout: realTimeout });
  return log;
})()`

// streams holds the page to the order of requests by which no change is lost, whatever a
// server, or a proxy before it, does.
func streams(t *testing.T, p *browser.Page) {
	const (
		added   = `{type: 'ADDED', object: object('b', 8)}`
		deleted = `{type: 'DELETED', object: object('a', 9)}`
		mark    = `{type: 'BOOKMARK', object: object('', 20)}`
		gone    = `{type: 'ERROR', object: {code: 410, message: 'too old'}}`
	)
	for name, c := range map[string]struct {
		metadata, answers string
		want              []string
	}{
		"a watch goes on where the last one ended": {"false",
			`[{list: ['a'], version: 7}, {events: [` + added + `, ` + deleted + `]}, {events: [` + mark + `]}]`,
			[]string{"list [] ", "socket watch 7 [/a] live", "socket watch 9 [/b] live", "socket watch 20 [/b] live"}},
		"versions that are too old are listed again": {"false",
			`[{list: ['a'], version: 7}, {events: [` + gone + `]}, {list: ['c'], version: 30}]`,
			[]string{"list [] ", "socket watch 7 [/a] live", "list [/a] live", "socket watch 30 [/c] live"}},
		"a long list comes in pieces": {"true",
			`[{list: ['a'], version: 7, more: '+1'}, {list: ['b'], version: 7}]`,
			[]string{"list [] ", "list+1 [] reading", "watch 7 [/a /b] live"}},
		"a proxy that passes no WebSockets on": {"false",
			`[{list: ['a'], version: 7}, {}, {events: [` + added + `]}]`,
			[]string{"list [] ", "socket watch 7 [/a] live", "watch 7 [/a] live", "watch 8 [/a /b] live"}},
		"a server that is away, and comes back": {"true",
			`[{down: true}, {list: ['a'], version: 7}, {down: true}, {down: true}, {events: [` + added + `]}]`,
			[]string{"list [] ", "list [] waiting", "watch 7 [/a] live", "watch 7 [/a] waiting", "watch 7 [/a] waiting", "watch 8 [/a /b] live"}},
		"what is refused is not shown any more": {"true",
			`[{list: ['a'], version: 7}, {status: 403}, {status: 403}, {list: ['a'], version: 8}]`,
			[]string{"list [] ", "watch 7 [/a] live", "list [] refused", "list [] refused", "watch 8 [/a] live"}},
	} {
		source := strings.NewReplacer("ANSWERS", c.answers, "METADATA", c.metadata).Replace(script)
		if got := browser.Eval[[]string](p, source); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}
