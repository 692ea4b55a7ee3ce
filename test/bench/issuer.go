package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// issuerChanges is below the number of former issuers that are trusted.
	issuerChanges = 8
	issuerBudget  = 2 * time.Second
)

// measureIssuer changes the issuer as `kubectl patch authentications cluster` does and
// awaits tokens of the new one in the files of all pods of a fleet.
func measureIssuer(ctx context.Context, b *bench) ([]figure, error) {
	f, err := b.fleet(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := f.grow(ctx, b.pods); err != nil {
		return nil, err
	}
	if err := pause(ctx, fleetPause); err != nil {
		return nil, err
	}
	r, err := newReaders(b.pods, tokenPath, "token")
	if err != nil {
		return nil, err
	}
	defer r.close()
	var times durations
	for i := range issuerChanges {
		begin := time.Now()
		issuer := fmt.Sprintf("https://issuer-%d.bench.example", i)
		if err := f.setIssuer(ctx, issuer); err != nil {
			return nil, err
		}
		at, err := r.await(ctx, b.pods, func(s sighting) bool { return issuedBy(s.files["token"]) == issuer })
		if err != nil {
			return nil, fmt.Errorf("change %d of the issuer: %w", i+1, err)
		}
		times = append(times, at.Sub(begin))
		if err := pause(ctx, sharedGap); err != nil {
			return nil, err
		}
	}
	if err := f.setIssuer(ctx, ""); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("issuer patched → token files of all %d pods re-issued, the last, ", b.pods)
	return []figure{
		times.figure(what+"p50", issuerBudget),
		{What: what + "worst", Value: ms(times.quantile(1)), Unit: "ms", Budget: ms(issuerBudget), Note: "RS256"},
	}, nil
}

func (f *fleet) setIssuer(ctx context.Context, issuer string) error {
	body, err := json.Marshal(map[string]any{"spec": map[string]string{"serviceAccountIssuer": issuer}})
	if err != nil {
		return err
	}
	return f.client.Discovery().RESTClient().Patch(types.MergePatchType).
		AbsPath("/apis/config.openshift.io/v1/authentications/cluster").Body(body).Do(ctx).Error()
}

// issuedBy is the claim iss of a token, "" if it is none.
func issuedBy(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Issuer
}
