// Package iamtest is the behaviour that every iam.Store has, as a test.
//
// It owns nothing else; what the Query API makes of a store is tested in iam/queryapi.
package iamtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"laterna.dev/laterna/internal/aws/iam"
)

// Trust is a trust policy that stores keep byte for byte.
const Trust = "{\"Version\": \"2012-10-17\",\n \"Statement\": [{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"},\"Action\":\"sts:AssumeRole\"}]}"

const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

// Suite tries a store on two of its accounts that hold nothing.
func Suite(t *testing.T, s iam.Store, account, other string) {
	t.Run("roles", func(t *testing.T) { roles(t, s, account, other) })
	t.Run("pages of roles", func(t *testing.T) { pages(t, s, account, other) })
	t.Run("one of many creates a role", func(t *testing.T) { race(t, s, account) })
	t.Run("no update is lost", func(t *testing.T) { updates(t, s, account) })
	t.Run("providers", func(t *testing.T) { providers(t, s, account, other) })
	t.Run("policies", func(t *testing.T) { policies(t, s, account, other) })
}

// NewRole returns a role that all stores take.
func NewRole(account, name string) iam.Role {
	return iam.Role{Partition: "aws", Account: account, Name: name, Path: "/", TrustPolicy: Trust, MaxSessionDuration: time.Hour}
}

func roles(t *testing.T, s iam.Store, account, other string) {
	ctx := t.Context()
	want := NewRole(account, "Deployer")
	want.Path, want.Description, want.MaxSessionDuration = "/ci/", "deploys é", 2*time.Hour
	want.Inline = map[string]string{"Read": document}
	want.Attached = []string{"arn:aws:iam::" + account + ":policy/b", "arn:aws:iam::aws:policy/a"}
	want.PermissionsBoundary = "arn:aws:iam::" + account + ":policy/edge"
	want.Tags = []iam.Tag{{Key: "Team", Value: "blue"}}
	made, err := s.CreateRole(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.ID, "AROA") || len(made.ID) != 21 || made.Created.IsZero() || made.Version == "" {
		t.Errorf("made %+v", made)
	}
	want.ID, want.Created, want.Version = made.ID, made.Created, made.Version
	read, err := s.Role(ctx, account, "dePLOYer")
	if err != nil || !sameRole(made, want) || !sameRole(read, want) {
		t.Errorf("read %+v\nwant %+v (%v)", read, want, err)
	}
	if read.ARN() != "arn:aws:iam::"+account+":role/ci/Deployer" {
		t.Errorf("ARN %s", read.ARN())
	}
	if _, err := s.CreateRole(ctx, NewRole(account, "DEPLOYER")); !errors.Is(err, iam.ErrExists) {
		t.Errorf("another spelling: %v", err)
	}
	if _, err := s.Role(ctx, other, "Deployer"); !errors.Is(err, iam.ErrNotFound) {
		t.Errorf("of another account: %v", err)
	}
	changed, err := s.UpdateRole(ctx, account, "deployer", func(r *iam.Role) error {
		r.Description, r.Inline = "", nil
		return nil
	})
	if err != nil || changed.Version == made.Version || changed.Description != "" || changed.ID != made.ID || len(changed.Inline) != 0 || changed.TrustPolicy != Trust {
		t.Errorf("changed %+v, %v", changed, err)
	}
	no := errors.New("no")
	if err := s.DeleteRole(ctx, account, "deployer", func(*iam.Role) error { return no }); !errors.Is(err, no) {
		t.Errorf("delete that was refused: %v", err)
	}
	if err := s.DeleteRole(ctx, account, "deployer", func(*iam.Role) error { return nil }); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"delete": s.DeleteRole(ctx, account, "deployer", func(*iam.Role) error { return nil }),
		"update": second(s.UpdateRole(ctx, account, "deployer", func(*iam.Role) error { return nil })),
		"get":    second(s.Role(ctx, account, "deployer")),
	} {
		if !errors.Is(err, iam.ErrNotFound) {
			t.Errorf("%s of what is gone: %v", what, err)
		}
	}
	again, err := s.CreateRole(ctx, NewRole(account, "Deployer"))
	if err != nil || again.ID == made.ID {
		t.Errorf("made again with id %s, %v", again.ID, err)
	}
}

func second[T any](_ T, err error) error { return err }

func sameRole(a, b iam.Role) bool {
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

func pages(t *testing.T, s iam.Store, account, other string) {
	ctx := t.Context()
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("Page-%d", i)
		if i%2 == 0 {
			name = strings.ToLower(name)
		}
		want = append(want, name)
		if _, err := s.CreateRole(ctx, NewRole(other, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateRole(ctx, NewRole(account, "page-3")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := s.Roles(ctx, other, iam.Page{After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			got = append(got, r.Name)
		}
		if len(page) < 3 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func race(t *testing.T, s iam.Store, account string) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			name := "Contested"
			if i%2 == 0 {
				name = strings.ToUpper(name)
			}
			_, errs[i] = s.CreateRole(t.Context(), NewRole(account, name))
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, iam.ErrExists) {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d of %d made the role", made, len(errs))
	}
}

func updates(t *testing.T, s iam.Store, account string) {
	ctx := t.Context()
	if _, err := s.CreateRole(ctx, NewRole(account, "busy")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				_, err := s.UpdateRole(ctx, account, "busy", func(r *iam.Role) error {
					r.Tags = append(r.Tags, iam.Tag{Key: fmt.Sprint(i), Value: "x"})
					return nil
				})
				if err == nil {
					return
				}
				if !errors.Is(err, iam.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if r, err := s.Role(ctx, account, "busy"); err != nil || len(r.Tags) != 4 {
		t.Errorf("%v, %v", r.Tags, err)
	}
}

func providers(t *testing.T, s iam.Store, account, other string) {
	ctx := t.Context()
	urls := []string{"A.example/id", "a.example/id", "a.example/id/", "b.example/~x/%41"}
	for _, u := range urls {
		p := iam.Provider{Partition: "aws", Account: account, URL: u, ClientIDs: []string{"z", "a"}, Thumbprints: []string{strings.Repeat("0", 40)}}
		made, err := s.CreateProvider(ctx, p)
		if err != nil || made.ARN() != "arn:aws:iam::"+account+":oidc-provider/"+u || made.Created.IsZero() {
			t.Errorf("%s: %+v, %v", u, made, err)
		}
		if _, err := s.CreateProvider(ctx, p); !errors.Is(err, iam.ErrExists) {
			t.Errorf("%s again: %v", u, err)
		}
		if read, err := s.Provider(ctx, account, u); err != nil || fmt.Sprint(read) != fmt.Sprint(made) {
			t.Errorf("%s: read %+v, made %+v, %v", u, read, made, err)
		}
	}
	all, err := s.Providers(ctx, account)
	var got []string
	for _, p := range all {
		got = append(got, p.URL)
	}
	if err != nil || !slices.Equal(got, urls) {
		t.Errorf("all %q, %v", got, err)
	}
	if none, err := s.Providers(ctx, other); err != nil || len(none) != 0 {
		t.Errorf("of another account: %v, %v", none, err)
	}
	changed, err := s.UpdateProvider(ctx, account, urls[0], func(p *iam.Provider) error {
		p.ClientIDs = append(p.ClientIDs, "b")
		return nil
	})
	if err != nil || !slices.Equal(changed.ClientIDs, []string{"z", "a", "b"}) {
		t.Errorf("changed %+v, %v", changed, err)
	}
	if err := s.DeleteProvider(ctx, account, urls[0]); err != nil {
		t.Error(err)
	}
	if _, err := s.Provider(ctx, account, urls[0]); !errors.Is(err, iam.ErrNotFound) {
		t.Errorf("gone: %v", err)
	}
	if err := s.DeleteProvider(ctx, account, urls[0]); !errors.Is(err, iam.ErrNotFound) {
		t.Errorf("gone twice: %v", err)
	}
}

func policies(t *testing.T, s iam.Store, account, other string) {
	ctx := t.Context()
	made, err := s.CreatePolicy(ctx, iam.Policy{Partition: "aws", Account: account, Name: "Read", Path: "/p/", Description: "d", Document: document})
	if err != nil || !strings.HasPrefix(made.ID, "ANPA") {
		t.Fatalf("%+v, %v", made, err)
	}
	arn := "arn:aws:iam::" + account + ":policy/p/Read"
	if read, err := s.Policy(ctx, arn); err != nil || fmt.Sprint(read) != fmt.Sprint(made) {
		t.Errorf("read %+v, made %+v, %v", read, made, err)
	}
	for _, wrong := range []string{"arn:aws:iam::" + account + ":policy/Read", "arn:aws:iam::" + account + ":policy/p/read", "arn:aws:iam::" + other + ":policy/p/Read", "x"} {
		if _, err := s.Policy(ctx, wrong); !errors.Is(err, iam.ErrNotFound) {
			t.Errorf("%s: %v", wrong, err)
		}
		if err := s.DeletePolicy(ctx, wrong); !errors.Is(err, iam.ErrNotFound) {
			t.Errorf("delete of %s: %v", wrong, err)
		}
	}
	if _, err := s.CreatePolicy(ctx, iam.Policy{Partition: "aws", Account: account, Name: "READ", Path: "/", Document: document}); !errors.Is(err, iam.ErrExists) {
		t.Errorf("another spelling: %v", err)
	}
	if _, err := s.UpdatePolicy(ctx, arn, func(p *iam.Policy) error { p.Tags = []iam.Tag{{Key: "k", Value: ""}}; return nil }); err != nil {
		t.Error(err)
	}
	page, err := s.Policies(ctx, account, iam.Page{Limit: 10})
	if err != nil || len(page) != 1 || page[0].Document != document || len(page[0].Tags) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	if err := s.DeletePolicy(ctx, arn); err != nil {
		t.Error(err)
	}
}
