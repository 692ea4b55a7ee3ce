package place_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/internal/volumes/fakeapi"
	"laterna.dev/laterna/internal/volumes/place"
	"laterna.dev/laterna/internal/volumes/publish"
)

const everything = `
containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}]
volumes:
- {name: disk, emptyDir: {}}
- name: v
  projected:
    sources:
    - secret: {name: s}
    - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
    - configMap: {name: opt, optional: true}
    - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 7200}
    - secret: {name: s, items: [{key: a, path: b}]}
- {name: last, configMap: {name: c}}`

func TestSnapshotSaysWhatIsShown(t *testing.T) {
	server := fakeapi.New(t)
	server.Put(fakeapi.Secret("ns", "s", "a", "1"))
	put(server, "1")
	var changes atomic.Int64
	b := newBenchWith(t, server, func(c *place.Config) {
		c.Changed = func(uid types.UID) {
			if uid == "uid-p" {
				changes.Add(1)
			}
		}
	})
	p := b.pod("p", everything)
	p.ResourceVersion = "77"
	if got := b.Snapshot(p.UID); got != nil {
		t.Errorf("a pod that nobody knows: %+v", got)
	}
	began := time.Now()
	b.setup(p)
	all := b.Snapshot(p.UID)
	if len(all) != 2 || all[0].Name != "v" || all[1].Name != "last" {
		t.Fatalf("%+v", all)
	}
	v := all[0]
	if want := []publish.SourceStatus{{Kind: "Secret", Name: "s", Observed: "1", Published: "1"}, {Kind: "Pod", Name: "p", Observed: "77", Published: "77"}, {Kind: "ConfigMap", Name: "opt", Observed: "", Published: ""}}; !slices.Equal(v.Sources, want) {
		t.Errorf("sources %+v, want %+v", v.Sources, want)
	}
	if len(v.Tokens) != 1 || v.Tokens[0].Path != "token" || v.Tokens[0].Audience != "vault" {
		t.Fatalf("tokens %+v", v.Tokens)
	}
	if life := v.Tokens[0].Expires.Sub(began).Round(10 * time.Second); life != 2*time.Hour {
		t.Errorf("the token lives %v", life)
	}
	if wait := v.Tokens[0].Rotates.Sub(began); wait > 96*time.Minute+time.Second || wait < 95*time.Minute {
		t.Errorf("the token rotates after %v", wait)
	}
	if v.Problem != "" || len(v.Digest) != sha256.Size || v.Published.Before(began) || !strings.HasPrefix(v.Generation, "..") {
		t.Errorf("%+v", v)
	}

	n := changes.Load()
	server.Put(fakeapi.ConfigMap("ns", "opt", "x", "y"))
	eventually(t, "the optional object", func() bool {
		now := b.Snapshot(p.UID)[0].Sources[2]
		return now.Observed == "3" && now.Published == "3"
	})
	server.Delete("configmaps", "ns", "opt")
	eventually(t, "no optional object", func() bool {
		now := b.Snapshot(p.UID)[0].Sources[2]
		return now.Observed == "" && now.Published == ""
	})
	server.Delete("secrets", "ns", "s")
	eventually(t, "a problem", func() bool {
		now := b.Snapshot(p.UID)[0]
		return now.Problem == `secret "s" not found` && now.Sources[0] == publish.SourceStatus{Kind: "Secret", Name: "s", Published: "1"}
	})
	if changes.Load() <= n {
		t.Errorf("%d changes were told after %d", changes.Load(), n)
	}

	newer := p.DeepCopy()
	newer.ResourceVersion, newer.Status.Phase = "78", corev1.PodRunning
	b.Sync(newer) // the status alone
	if got := b.Snapshot(p.UID)[0].Sources[1]; got.Observed != "77" {
		t.Errorf("a change of the status counts: %+v", got)
	}
	newer = newer.DeepCopy()
	newer.ResourceVersion, newer.Labels = "79", map[string]string{"a": "b"}
	b.Sync(newer)
	server.Put(fakeapi.Secret("ns", "s", "a", "1"))
	eventually(t, "the pod's version", func() bool {
		now := b.Snapshot(p.UID)[0]
		return now.Sources[1] == publish.SourceStatus{Kind: "Pod", Name: "p", Observed: "79", Published: "79"} && now.Problem == ""
	})
}

func TestSnapshotAfterARestart(t *testing.T) {
	server := fakeapi.New(t)
	put(server, "1")
	b := newBench(t, server)
	p := b.pod("p", one("configMap: {name: c}"))
	b.setup(p)
	before := b.status(p)
	b.restart()
	server.Down()
	b.Adopt([]*corev1.Pod{p})
	eventually(t, "what was left", func() bool { return b.status(p).Generation == before.Generation })
	now := b.status(p)
	if ago := before.Published.Sub(now.Published); string(now.Digest) != string(before.Digest) || ago < 0 || ago > time.Second {
		t.Errorf("%+v, want %+v", now, before)
	}
	if now.Sources[0].Published != "" || !strings.Contains(now.Problem, "API server") {
		t.Errorf("%+v", now)
	}
	server.Up()
	eventually(t, "the versions", func() bool { s := b.status(p); return s.Sources[0].Published == "1" && s.Problem == "" })
	if got := b.status(p); got.Generation != before.Generation || got.Published != now.Published {
		t.Errorf("%+v, want %+v", got, now)
	}
}

func TestProblemsHoldNoValues(t *testing.T) {
	server := fakeapi.New(t)
	server.Put(fakeapi.Secret("ns", "s", "ok", "hunter2"))
	b := newBench(t, server)
	p := b.pod("p", one("projected: {sources: [{secret: {name: s}}, {configMap: {name: none}}]}"))
	b.Adopt([]*corev1.Pod{p})
	eventually(t, "a problem", func() bool { return b.status(p).Problem != "" && len(b.told()) > 0 })
	for _, text := range append(b.told(), b.status(p).Problem) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret in %q", text)
		}
	}
}
