package directory

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam"
)

// maxProviders is how many providers of an account are read. AWS has 100, users of kubectl
// may write more.
const maxProviders = 1000

const https = "https://"

// Provider implements iam.Directory.
func (d *Directory) Provider(ctx context.Context, account, issuer string) (iam.Provider, error) {
	return provider(d.providers.get(ctx, iam.ProviderKey(account, issuer)))
}

// Providers implements iam.Directory.
func (d *Directory) Providers(ctx context.Context, account string) ([]iam.Provider, error) {
	all, err := page(ctx, d.providers, account, "", maxProviders, func(obj runtime.Object) (providers []iam.Provider, keys []string, err error) {
		list, err := as[*v1alpha1.OpenIDConnectProviderList](obj, nil)
		if err != nil {
			return nil, nil, err
		}
		for i := range list.Items {
			providers = append(providers, readProvider(&list.Items[i]))
			keys = append(keys, list.Items[i].Name)
		}
		return providers, keys, nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b iam.Provider) int { return strings.Compare(a.URL, b.URL) })
	return all, nil
}

// CreateProvider implements iam.Store.
func (d *Directory) CreateProvider(ctx context.Context, p iam.Provider) (iam.Provider, error) {
	key := iam.ProviderKey(p.Account, p.URL)
	obj := &v1alpha1.OpenIDConnectProvider{ObjectMeta: metav1.ObjectMeta{Name: key}}
	writeProvider(&p, obj)
	return provider(d.providers.create(ctx, key, obj))
}

// UpdateProvider implements iam.Store.
func (d *Directory) UpdateProvider(ctx context.Context, account, issuer string, change func(*iam.Provider) error) (iam.Provider, error) {
	return provider(d.providers.update(ctx, iam.ProviderKey(account, issuer), func(obj runtime.Object) error {
		o, err := as[*v1alpha1.OpenIDConnectProvider](obj, nil)
		if err != nil {
			return err
		}
		p := readProvider(o)
		if err := change(&p); err != nil {
			return err
		}
		writeProvider(&p, o)
		return nil
	}))
}

// DeleteProvider implements iam.Store.
func (d *Directory) DeleteProvider(ctx context.Context, account, issuer string) error {
	return d.providers.delete(ctx, iam.ProviderKey(account, issuer), func(runtime.Object) error { return nil })
}

func provider(obj runtime.Object, err error) (iam.Provider, error) {
	o, err := as[*v1alpha1.OpenIDConnectProvider](obj, err)
	if err != nil {
		return iam.Provider{}, err
	}
	return readProvider(o), nil
}

func readProvider(o *v1alpha1.OpenIDConnectProvider) iam.Provider {
	p := iam.Provider{
		Partition: o.Spec.Partition, Account: o.Spec.Account, URL: strings.TrimPrefix(o.Spec.URL, https),
		ClientIDs: slices.Clone(o.Spec.ClientIDs), Thumbprints: slices.Clone(o.Spec.Thumbprints),
		Tags: readTags(o.Spec.Tags), Created: o.CreationTimestamp.UTC(), Version: o.ResourceVersion,
	}
	if o.Status.CreateDate != nil {
		p.Created = o.Status.CreateDate.UTC()
	}
	return p
}

func writeProvider(p *iam.Provider, o *v1alpha1.OpenIDConnectProvider) {
	o.Spec = v1alpha1.OpenIDConnectProviderSpec{
		Partition: p.Partition, Account: p.Account, URL: https + p.URL,
		ClientIDs: slices.Clone(p.ClientIDs), Thumbprints: slices.Clone(p.Thumbprints), Tags: writeTags(p.Tags),
	}
}
