package webidentity

import (
	"context"
	"fmt"
	"strings"

	"laterna.dev/laterna/internal/aws/iam"
)

// maxListed is how many names a hint lists.
const maxListed = 10

// providerHints says which provider may have been meant.
func (c *Checker) providerHints(ctx context.Context, issuer, account string) []string {
	if account == "" {
		return nil
	}
	all, err := c.config.Providers.Providers(ctx, account)
	if err != nil {
		return nil
	}
	if len(all) == 0 {
		return []string{"account " + account + " has no providers at all: is the role of another account? laterna aws init registers this cluster's issuer"}
	}
	var urls []string
	for i, p := range all {
		if i == maxListed {
			urls = append(urls, fmt.Sprintf("… (%d in all)", len(all)))
			break
		}
		urls = append(urls, "https://"+p.URL)
	}
	hints := []string{"the account's providers: " + strings.Join(urls, ", ")}
	for i := range all {
		if why := almost(issuer, "https://"+all[i].URL); why != "" {
			return append(hints, "https://"+all[i].URL+" differs only "+why)
		}
	}
	return append(hints, "was the cluster made again, or its issuer changed? Then register the new one")
}

// almost says in what small way two issuers differ.
func almost(a, b string) string {
	switch {
	case strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/"):
		return "by the slash at its end"
	case strings.EqualFold(a, b):
		return "in letter case"
	case strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/")):
		return "in letter case and by the slash at its end"
	case strings.Replace(a, ":443", "", 1) == b:
		return "by the port"
	case strings.Replace(a, "http://", "https://", 1) == b:
		return "by http in place of https"
	}
	return ""
}

// claimHints says where a token comes from that lacks what others have.
func claimHints(t *token) []string {
	if len(t.audiences) > 1 {
		return []string{"ask for a token of one audience: AWS takes several only with a claim azp"}
	}
	return []string{"an access token is not an identity token; a legacy service account token has neither aud nor exp: project one with audience sts.amazonaws.com"}
}

// audienceHints says which audience may have been meant.
func audienceHints(audience string, p *iam.Provider) []string {
	hints := []string{"add it to the provider (aws iam add-client-id-to-open-id-connect-provider), or have the token made for one of those"}
	for _, id := range p.ClientIDs {
		if id != audience && (strings.EqualFold(id, audience) || strings.TrimSuffix(id, "/") == strings.TrimSuffix(audience, "/") || distance(id, audience) <= 3) {
			hints = append(hints, fmt.Sprintf("%q is almost %q", audience, id))
		}
	}
	return hints
}

// keyHints says why no key fits.
func keyHints(t *token, f found) []string {
	switch {
	case t.keyID == "":
		return []string{"the token names no key: that works only with an issuer of exactly one key"}
	case !strings.HasPrefix(t.algorithm, "RS") && !strings.HasPrefix(t.algorithm, "ES"):
		return []string{"AWS takes RS256, RS384, RS512, ES256, ES384 and ES512 only"}
	}
	for _, id := range f.names {
		if id == t.keyID {
			return []string{"the issuer publishes the key, but AWS does not take it: another type or use, a certificate (x5c) of another key, or more than 100 keys"}
		}
	}
	return []string{"the key is not (or not any more) among those that the issuer publishes: was it rotated, or is the token of another cluster with the same issuer?"}
}

// distance is how many letters must change to make b of a; long texts are far.
func distance(a, b string) int {
	const far = 100
	if len(a) > far || len(b) > far {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		last := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			last, row[j] = row[j], min(row[j]+1, row[j-1]+1, last+cost)
		}
	}
	return row[len(b)]
}
