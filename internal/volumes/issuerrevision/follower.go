// Package issuerrevision replaces the tokens of a node's pods when the issuer or the
// signing key changes, and reports when all of them are replaced.
//
// It follows the status of kubeapiservers.operator.openshift.io/cluster, which the
// server writes (internal/controller/tokenissuer), and owns the annotation
// laterna.dev/issuer-revision of the agent's node. Tokens are fetched by
// internal/volumes/tokencache and published by internal/volumes/place. On a server without
// that kind nothing happens: tokens are then replaced at 80 % of their life, as
// upstream does.
package issuerrevision

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/follow"
	"laterna.dev/laterna/internal/volumes/tokencache"
	"laterna.dev/laterna/internal/wait"
)

// Config of a Follower. All fields are required.
type Config struct {
	// Operators is a client of operator.openshift.io.
	Operators rest.Interface
	Client    kubernetes.Interface
	NodeName  string
	Tokens    Tokens
	// Behind counts the volumes whose files do not show the newest token yet.
	Behind func() int
	// Wall times retries.
	Wall clock.Wall
	Log  *slog.Logger
}

// Tokens are the tokens of the node's pods. *tokencache.Cache is one.
type Tokens interface {
	Serial() uint64
	Renew(needed func(tokencache.Request, tokencache.Token) bool) (pending int)
	Subscribe(changed func(tokencache.Request)) (cancel func())
}

// Follower follows revisions. Make it with New; one that is nil may be told of changes and
// does nothing.
type Follower struct {
	cfg Config
	// goals has the newest revision to reach; an older one in it is replaced.
	goals chan goal
	// moved gets a value after tokens or files have changed.
	moved chan struct{}
	// seen has what the node last said; an older text in it is replaced.
	seen chan string
}

// goal is a revision and what tokens of it look like.
type goal struct {
	revision    int32
	issuer, key string
}

// New returns a follower that does nothing until Run.
func New(cfg Config) *Follower {
	return &Follower{cfg: cfg, goals: make(chan goal, 1), moved: make(chan struct{}, 1), seen: make(chan string, 1)}
}

// Seen gives the node as the API has it: one that was deleted and registered again, or
// lost the annotation, is told the revision again. It does not wait and is not called
// concurrently.
func (f *Follower) Seen(node *corev1.Node) {
	if f == nil {
		return
	}
	select {
	case <-f.seen:
	default:
	}
	f.seen <- node.Annotations[api.IssuerRevision]
}

// Moved tells that files show other tokens. It does not wait.
func (f *Follower) Moved() {
	if f == nil {
		return
	}
	select {
	case f.moved <- struct{}{}:
	default:
	}
}

// pause is that between two looks while tokens are missing.
const pause = time.Second

// settle is how long changes are gathered before tokens are looked at again.
const settle = 10 * time.Millisecond

// Run follows until ctx ends, or returns nil at once where the server does not know the
// kind.
func (f *Follower) Run(ctx context.Context) error {
	defer f.cfg.Tokens.Subscribe(func(tokencache.Request) { f.Moved() })()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); f.reach(ctx) }()
	defer func() { cancel(); <-done }()
	f.object().Run(ctx, f.cfg.Wall, follow.Handler[*operatorv1.KubeAPIServer]{
		Seen: func(_ context.Context, k *operatorv1.KubeAPIServer) error { f.aim(k); return nil },
		Failed: func(err error) (goOn bool) {
			if apierrors.IsNotFound(err) {
				f.cfg.Log.Info("the server has no kind KubeAPIServer: tokens are replaced at 80 % of their life, not when the issuer changes")
				return false
			}
			f.cfg.Log.Warn("following the issuer of tokens failed, trying again", "error", err)
			return true
		},
	})
	return nil
}

// object is whose status says the revision.
func (f *Follower) object() follow.Object[*operatorv1.KubeAPIServer] {
	get := func(options metav1.ListOptions) *rest.Request {
		return f.cfg.Operators.Get().Resource(operatorv1.KubeAPIServers.Resource).VersionedParams(&options, metav1.ParameterCodec)
	}
	return follow.Object[*operatorv1.KubeAPIServer]{
		Name: operatorv1.Name,
		List: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := &operatorv1.KubeAPIServerList{}
			return list, get(options).Do(ctx).Into(list)
		},
		Watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return get(options).Watch(ctx)
		},
	}
}

// aim makes an object's revision the one to reach.
func (f *Follower) aim(k *operatorv1.KubeAPIServer) {
	next := goal{revision: k.Status.LatestAvailableRevision, issuer: k.Status.ActiveIssuer(), key: k.Status.SigningKeyID}
	if next.revision == 0 || next.issuer == "" {
		return // not filled in yet
	}
	select {
	case <-f.goals:
	default:
	}
	f.goals <- next // never full: this is the only sender
}

// reach replaces tokens until all are of the newest revision, and reports that.
func (f *Follower) reach(ctx context.Context) {
	var at goal
	var mark uint64
	reached := true
	for {
		var retry <-chan time.Time
		if !reached {
			retry = f.cfg.Wall.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case next := <-f.goals:
			if next == at {
				continue
			}
			// The first revision that is seen asks for no more than it says: this
			// process has fetched every token by itself.
			if at.revision != 0 && next.revision != at.revision {
				mark = f.cfg.Tokens.Serial()
			}
			at, reached = next, false
		case <-f.moved:
			if !reached {
				wait.Pause(ctx, f.cfg.Wall, settle) // many tokens change together
			}
		case text := <-f.seen:
			if at.revision != 0 && text != strconv.Itoa(int(at.revision)) {
				reached = false
			}
		case <-retry:
		}
		if !reached {
			reached = f.step(ctx, at, mark)
		}
	}
}

// step has tokens replaced that are not of a revision and reports it when there are
// none, in the cache or in files.
func (f *Follower) step(ctx context.Context, g goal, mark uint64) (reached bool) {
	pending := f.cfg.Tokens.Renew(func(_ tokencache.Request, t tokencache.Token) bool { return t.Serial() <= mark || !g.fits(t) })
	if pending > 0 || f.cfg.Behind() > 0 {
		return false
	}
	if err := f.report(ctx, g.revision); err != nil {
		if ctx.Err() == nil && !apierrors.IsNotFound(err) { // a new node is registered in a moment
			f.cfg.Log.Warn("reporting that tokens are replaced failed, trying again", "revision", g.revision, "error", err)
		}
		return false
	}
	f.cfg.Log.Info("all tokens of the node's pods are of the newest revision", "revision", g.revision, "issuer", g.issuer)
	return true
}

// fits tells whether a token is of the issuer and the key of a revision. The server
// that was asked may not have heard of them yet.
func (g goal) fits(t tokencache.Token) bool {
	parsed, err := boundtoken.Parse(string(t.Bytes()))
	if err != nil {
		return true // of a server that makes other tokens: nothing to compare
	}
	return parsed.UnverifiedClaims().Issuer == g.issuer && (g.key == "" || parsed.Header().KeyID == g.key)
}

func (f *Follower) report(ctx context.Context, revision int32) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		api.IssuerRevision: strconv.Itoa(int(revision)),
	}}})
	if err != nil {
		return fmt.Errorf("encoding patch: %w", err)
	}
	_, err = f.cfg.Client.CoreV1().Nodes().Patch(ctx, f.cfg.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
