package queryapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
)

// maxProviders is how many an account may have.
const maxProviders = 100

func noProvider(name string) error {
	return noSuchEntity("OpenIDConnect Provider not found for arn %s", name)
}

// providerURL reads the URL of a new provider and returns what identifies it.
func (r *request) providerURL() (issuer string, valid func() error) {
	raw := r.Text("Url", query.Text{Required: true, Min: 1, Max: iam.MaxURL, Hidden: true})
	issuer, err := iam.Issuer(raw)
	return issuer, func() error {
		switch {
		case err == nil:
			return nil
		case errors.Is(err, iam.ErrURLScheme) && strings.HasPrefix(raw, "http://"):
			return invalidInput("Invalid Open ID Connect Provider URL. The URL must begin with https://.")
		case errors.Is(err, iam.ErrURLParts):
			return invalidInput("Unknown")
		}
		return query.Invalid("Invalid Open ID Connect Provider URL")
	}
}

func (r *request) clientID(param string) string {
	return r.Text(param, query.Text{Required: true, Min: 1, Max: iam.MaxClientID, Hidden: true})
}

// many is more than any list may have, where the answer to too long a list is not that of a
// constraint.
const many = 1000

// thumbprints reads a list of them, in lower case.
func (r *request) thumbprints() ([]string, func() error) {
	list := r.Texts("ThumbprintList", many, query.Text{Min: iam.ThumbprintLength, Max: iam.ThumbprintLength})
	for i, t := range list {
		list[i] = strings.ToLower(t)
	}
	return list, func() error {
		if len(list) > iam.MaxThumbprints {
			return invalidInput("Thumbprint list must contain fewer than 5 entries.")
		}
		return nil
	}
}

// unique returns a list without repeats, in its order.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func tooManyClientIDs() error {
	return limitExceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", iam.MaxClientIDs)
}

type createdProvider struct {
	ARN  string              `xml:"OpenIDConnectProviderArn"`
	Tags *query.List[tagXML] `xml:"Tags"`
}

func createProvider(r *request) (any, error) {
	issuer, validURL := r.providerURL()
	ids := unique(r.Texts("ClientIDList", many, query.Text{Min: 1, Max: iam.MaxClientID}))
	prints, validPrints := r.thumbprints()
	tags, validTags := r.tags(false)
	if err := r.checked(validURL, validPrints, validTags); err != nil {
		return nil, err
	}
	p := iam.Provider{
		Partition: r.owner().Partition, Account: r.account(), URL: issuer, ClientIDs: ids, Thumbprints: prints,
		Tags: slices.Clone(tags),
	}
	iam.SortTags(p.Tags)
	if err := r.authorize(target{arn: p.ARN(), tags: tags}); err != nil {
		return nil, err
	}
	if len(ids) > iam.MaxClientIDs {
		return nil, tooManyClientIDs()
	}
	all, err := r.store().Providers(r.ctx, r.account())
	if err != nil {
		return nil, err
	}
	exists := alreadyExists("Provider with url https://%s already exists.", issuer)
	if slices.ContainsFunc(all, func(other iam.Provider) bool { return other.URL == issuer }) {
		return nil, exists
	}
	if len(all) >= maxProviders {
		return nil, limitExceeded("Cannot exceed quota for OpenIDConnectProvidersPerAccount: %d", maxProviders)
	}
	if len(prints) == 0 && r.api.config.Thumbprint != nil {
		print, err := r.api.config.Thumbprint(r.ctx, issuer)
		if err != nil {
			return nil, query.Refuse(http.StatusBadRequest, "OpenIdIdpCommunicationError", "Could not connect to https://%s", issuer)
		}
		p.Thumbprints = []string{print}
	}
	made, err := r.store().CreateProvider(r.ctx, p)
	if err != nil {
		return nil, instead(err, iam.ErrExists, exists)
	}
	return createdProvider{made.ARN(), tagsIfAny(tags)}, nil
}

// providerARN reads the ARN of a provider. An ARN that can be none is told by valid.
func (r *request) providerARN() (text string, n arn.Provider, valid func() error) {
	text = r.arn("OpenIDConnectProviderArn", true)
	n, err := arn.ParseProvider(text)
	return text, n, func() error {
		if err != nil {
			return errARN()
		}
		return nil
	}
}

// provider looks up the provider that a call is about; absent is the answer if there is none.
func (r *request) provider(text string, n arn.Provider, absent error) (iam.Provider, error) {
	p, err := r.store().Provider(r.ctx, n.Account, n.Issuer)
	if err == nil && p.ARN() != text {
		err = iam.ErrNotFound
	}
	if denied := r.authorize(target{arn: text, resource: p.Tags}); denied != nil {
		return p, denied
	}
	return p, instead(err, iam.ErrNotFound, absent)
}

type providerResult struct {
	URL         string              `xml:"Url"`
	ClientIDs   *query.List[string] `xml:"ClientIDList"`
	Thumbprints *query.List[string] `xml:"ThumbprintList"`
	CreateDate  string              `xml:"CreateDate"`
	Tags        *query.List[tagXML] `xml:"Tags"`
}

func getProvider(r *request) (any, error) {
	text, n, valid := r.providerARN()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	p, err := r.provider(text, n, noProvider(text))
	if err != nil {
		return nil, err
	}
	return providerResult{p.URL, query.ListOf(p.ClientIDs...), query.ListOf(p.Thumbprints...), query.Millis(p.Created), tagList(p.Tags)}, nil
}

type providerEntry struct {
	ARN string `xml:"Arn"`
}

type providersResult struct {
	Providers *query.List[providerEntry] `xml:"OpenIDConnectProviderList"`
}

func listProviders(r *request) (any, error) {
	if err := r.authorize(target{arn: r.owner().ARN("iam", "oidc-provider/*").String()}); err != nil {
		return nil, err
	}
	all, err := r.store().Providers(r.ctx, r.account())
	if err != nil {
		return nil, err
	}
	list := query.ListOf[providerEntry]()
	for i := range all {
		list.Member = append(list.Member, providerEntry{all[i].ARN()})
	}
	return providersResult{list}, nil
}

func deleteProvider(r *request) (any, error) {
	text, n, valid := r.providerARN()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	absent := noSuchEntity("OpenId connect Provider %s cannot be found.", text)
	if _, err := r.provider(text, n, absent); err != nil {
		return nil, err
	}
	return nil, instead(r.store().DeleteProvider(r.ctx, n.Account, n.Issuer), iam.ErrNotFound, absent)
}

// change changes the provider that a call is about, once its parameters are checked.
func (r *request) change(text string, n arn.Provider, tags []iam.Tag, change func(*iam.Provider) error) error {
	p, err := r.store().Provider(r.ctx, n.Account, n.Issuer)
	if err == nil && p.ARN() != text {
		err = iam.ErrNotFound
	}
	if denied := r.authorize(target{arn: text, tags: tags, resource: p.Tags}); denied != nil {
		return denied
	}
	if err == nil {
		_, err = r.store().UpdateProvider(r.ctx, n.Account, n.Issuer, change)
	}
	return instead(err, iam.ErrNotFound, noProvider(text))
}

func addClientID(r *request) (any, error) {
	text, n, valid := r.providerARN()
	id := r.clientID("ClientID")
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	return nil, r.change(text, n, nil, func(p *iam.Provider) error {
		if slices.Contains(p.ClientIDs, id) {
			return nil
		}
		if len(p.ClientIDs) >= iam.MaxClientIDs {
			return tooManyClientIDs()
		}
		p.ClientIDs = append(p.ClientIDs, id)
		return nil
	})
}

func removeClientID(r *request) (any, error) {
	text, n, valid := r.providerARN()
	id := r.clientID("ClientID")
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	return nil, r.change(text, n, nil, func(p *iam.Provider) error {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(other string) bool { return other == id })
		return nil
	})
}

func updateThumbprint(r *request) (any, error) {
	text, n, valid := r.providerARN()
	prints, validPrints := r.thumbprints()
	if err := r.checked(valid, validPrints); err != nil {
		return nil, err
	}
	if len(prints) == 0 {
		return nil, invalidInput("Thumbprint list must contain at least one entry.")
	}
	return nil, r.change(text, n, nil, func(p *iam.Provider) error {
		p.Thumbprints = prints
		return nil
	})
}
