package signingkey_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"laterna.dev/laterna/api/identity/v1alpha1"
)

func everything() *internalversion.ListOptions { return &internalversion.ListOptions{} }

// events returns what a watch sends until nothing more comes, as TYPE NAME STATE.
func events(w watch.Interface) string {
	var out []string
	for {
		synctest.Wait()
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return strings.Join(append(out, "end"), ", ")
			}
			k := e.Object.(*v1alpha1.SigningKey)
			line := string(e.Type) + " " + k.Name + " " + string(k.Status.State)
			if k.Annotations[metav1.InitialEventsAnnotationKey] != "" {
				line += "initial"
			}
			out = append(out, line)
		default:
			return strings.Join(out, ", ")
		}
	}
}

func (s *system) watch(options *internalversion.ListOptions) watch.Interface {
	s.t.Helper()
	w, err := s.Watch(s.ctx, options)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

func want(t *testing.T, w watch.Interface, when, want string) {
	t.Helper()
	if got := events(w); got != want {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func TestWatchFollowsTheLifeOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		list := s.list()
		old := list.Items[0].Name
		all := s.watch(everything())
		later := s.watch(&internalversion.ListOptions{ResourceVersion: list.ResourceVersion})
		one := s.watch(&internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "other")})
		none := s.watch(&internalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{"a": "b"})})
		want(t, all, "at first", "ADDED "+old+" Signing")
		want(t, later, "after the list", "")
		k := s.made("", "").Name
		want(t, all, "rotated", "ADDED "+k+" Upcoming")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		want(t, all, "activated", "MODIFIED "+old+" Retired, MODIFIED "+k+" Signing")
		if err := s.delete(old, nil); err != nil {
			t.Fatal(err)
		}
		want(t, all, "withdrawn", "DELETED "+old+" Retired")
		// Who did not read meanwhile is told what came of it.
		want(t, later, "all of it", "ADDED "+k+" Upcoming, MODIFIED "+k+" Signing, DELETED "+old+" Signing")
		want(t, one, "another name", "")
		want(t, none, "by label", "")
		for _, w := range []watch.Interface{all, later, one, none} {
			w.Stop()
			want(t, w, "stopped", "end")
		}
	})
}

func TestWatchThatListsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		old := s.list().Items[0].Name
		yes, no := true, false
		w := s.watch(&internalversion.ListOptions{SendInitialEvents: &yes, AllowWatchBookmarks: true})
		want(t, w, "with initial events", "ADDED "+old+" Signing, BOOKMARK  initial")
		w.Stop()
		w = s.watch(&internalversion.ListOptions{SendInitialEvents: &no})
		want(t, w, "without", "")
		w.Stop()
		for _, version := range []string{"1", "99"} {
			if _, err := s.Watch(s.ctx, &internalversion.ListOptions{ResourceVersion: version}); !apierrors.IsResourceExpired(err) {
				t.Errorf("from version %s: %v", version, err)
			}
		}
		exact := &internalversion.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchExact}
		if _, err := s.List(s.ctx, exact); !apierrors.IsResourceExpired(err) {
			t.Errorf("list of version 1: %v", err)
		}
	})
}
