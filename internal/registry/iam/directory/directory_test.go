package directory_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/iamtest"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/registry/core/secret"
	"laterna.dev/laterna/internal/registry/iam/directory"
	"laterna.dev/laterna/internal/registry/iam/openidconnectprovider"
	"laterna.dev/laterna/internal/registry/iam/policy"
	"laterna.dev/laterna/internal/registry/iam/role"
	"laterna.dev/laterna/internal/registry/resource"
	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

const account, other = "111122223333", "444455556666"

// desk is a directory over a store of its own.
type desk struct {
	*directory.Directory
	config  directory.Config
	secrets rest.StandardStorage
}

func newDesk(t *testing.T) desk {
	t.Helper()
	env := resourcetest.Env(t)
	d := desk{}
	roles, err := role.NewStorage(env)
	if err != nil {
		t.Fatal(err)
	}
	d.config.Roles = roles["roles"].(rest.StandardStorage)
	d.config.Policies = storage(t, policy.Definition(), env)
	d.config.Providers = storage(t, openidconnectprovider.Definition(clock.Real()), env)
	d.secrets = storage(t, secret.Definition(), env)
	d.config.Secrets = d.secrets
	d.Directory = directory.New(d.config)
	return d
}

func storage[T resource.Object](t *testing.T, def resource.Definition[T], env resource.Env) rest.StandardStorage {
	t.Helper()
	s, err := resource.New(def, env)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirectoryOfTheCluster(t *testing.T) {
	iamtest.Suite(t, newDesk(t), account, other)
}

// TestOthersThatWinAgainAndAgainAreTold has somebody else write in every update.
func TestOthersThatWinAgainAndAgainAreTold(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	if _, err := d.CreateRole(ctx, iamtest.NewRole(account, "a")); err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err := d.UpdateRole(ctx, account, "a", func(r *iam.Role) error {
		n++
		_, err := d.UpdateRole(ctx, account, "a", func(r *iam.Role) error { r.Description = strings.Repeat("x", n); return nil })
		r.Description = "mine"
		return err
	})
	if !errors.Is(err, iam.ErrConflict) || n < 2 {
		t.Errorf("after %d tries: %v", n, err)
	}
	if r, err := d.Role(ctx, account, "a"); err != nil || r.Description != strings.Repeat("x", n) {
		t.Errorf("%q, %v", r.Description, err)
	}
}

func TestTrustIsOfTheRoleThatThereWas(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	arn := "arn:aws:iam::" + other + ":role/a"
	trusting := iamtest.NewRole(account, "b")
	trusting.TrustPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + arn + `"},"Action":"sts:AssumeRole"}]}`
	if _, err := d.CreateRole(ctx, trusting); !errors.Is(err, iam.ErrInvalid) || !strings.Contains(err.Error(), `Invalid principal in policy: "AWS":"`+arn+`"`) {
		t.Errorf("a role that does not exist: %v", err)
	}
	a, err := d.CreateRole(ctx, iamtest.NewRole(other, "a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.CreateRole(ctx, trusting)
	if err != nil || b.Principals[arn] != a.ID {
		t.Errorf("%v, %v", b.Principals, err)
	}
	if err := d.DeleteRole(ctx, other, "a", func(*iam.Role) error { return nil }); err != nil {
		t.Fatal(err)
	}
	again, err := d.CreateRole(ctx, iamtest.NewRole(other, "A"))
	if err != nil {
		t.Fatal(err)
	}
	b, err = d.UpdateRole(ctx, account, "b", func(r *iam.Role) error { r.Description = "touched"; return nil })
	if err != nil || b.Principals[arn] != a.ID || a.ID == again.ID {
		t.Errorf("a namesake is trusted: %v, %v", b.Principals, err)
	}
}

func TestKeysAreSecretsOfTheirType(t *testing.T) {
	d := newDesk(t)
	ctx := request.WithNamespace(t.Context(), metav1.NamespaceSystem)
	put := func(change func(*corev1.Secret)) string {
		t.Helper()
		id := iam.NewKeyID(iam.LongTermPrefix, account)
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AccessKeySecret(id), Namespace: metav1.NamespaceSystem}, Type: v1alpha1.AccessKeySecretType,
			Data: map[string][]byte{v1alpha1.AccessKeyID: []byte(id), v1alpha1.SecretAccessKey: []byte("s3cr3t"), v1alpha1.AccessKeyAccount: []byte(account),
				v1alpha1.AccessKeyUserName: []byte("administrator"), v1alpha1.AccessKeyUserID: []byte("AIDAX"), v1alpha1.AccessKeyAdministrator: []byte("true")}}
		change(s)
		if _, err := d.secrets.Create(ctx, s, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	k, err := d.AccessKey(t.Context(), put(func(*corev1.Secret) {}))
	if err != nil || k.Secret.Reveal() != "s3cr3t" || k.Account != account || !k.Administrator || k.ARN() != "arn:aws:iam::"+account+":user/administrator" {
		t.Errorf("%+v, %v", k, err)
	}
	for name, id := range map[string]string{
		"none":         iam.NewKeyID(iam.LongTermPrefix, account),
		"no id":        "x/../y",
		"another type": put(func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }),
		"another's id": put(func(s *corev1.Secret) { s.Data[v1alpha1.AccessKeyID] = []byte("AKIA") }),
		"no secret":    put(func(s *corev1.Secret) { delete(s.Data, v1alpha1.SecretAccessKey) }),
		"no account":   put(func(s *corev1.Secret) { s.Data[v1alpha1.AccessKeyAccount] = []byte("x") }),
	} {
		if k, err := d.AccessKey(t.Context(), id); !errors.Is(err, iam.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
}
