package main

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// loads are the numbers of clients that tokens are asked for and reviewed by.
var loads = []int{8, 32}

// tokenAccount is the service account that tokens are for.
const tokenAccount = "default"

func measureRS256(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureTokens(ctx, "RS256", 2.3)
}

func measureES256(ctx context.Context, b *bench) ([]figure, error) {
	return b.measureTokens(ctx, "ES256", 0.8)
}

// measureTokens measures a system whose tokens are signed with one algorithm.
func (b *bench) measureTokens(ctx context.Context, algorithm string, budget float64) ([]figure, error) {
	s, err := b.started("--node=false", "--signing-algorithm", algorithm)
	if err != nil {
		return nil, err
	}
	var requests, reviews []figure
	for _, n := range loads {
		all, err := clients(s, n)
		if err != nil {
			return nil, err
		}
		m := &minted{tokens: make([][]string, n)}
		for _, step := range []struct {
			what   string
			budget float64
			op     operation
			into   *[]figure
		}{
			{"TokenRequest", budget, m.request, &requests},
			{"TokenReview, first sight", 0.6, m.reviewNext, &reviews},
			{"TokenReview, cached", 0.35, m.reviewSame, &reviews},
		} {
			l, err := load(ctx, s, all, step.op)
			if err != nil {
				return nil, fmt.Errorf("%s %s, %d clients: %w", step.what, algorithm, n, err)
			}
			*step.into = append(*step.into, l.figure(fmt.Sprintf("%s, %s, %d clients", step.what, algorithm, n), step.budget))
		}
	}
	return append(requests, reviews...), b.remove(s)
}

// minted keeps the tokens that every client has got.
type minted struct{ tokens [][]string }

// request asks for a token.
func (m *minted) request(ctx context.Context, client kubernetes.Interface, id, _ int) error {
	r, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, tokenAccount, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err == nil {
		m.tokens[id] = append(m.tokens[id], r.Status.Token)
	}
	return err
}

// reviewNext reviews a token that the server has not seen since it signed it.
func (m *minted) reviewNext(ctx context.Context, client kubernetes.Interface, id, n int) error {
	if n >= len(m.tokens[id]) {
		return errExhausted
	}
	return review(ctx, client, m.tokens[id][n])
}

// reviewSame reviews one token again and again.
func (m *minted) reviewSame(ctx context.Context, client kubernetes.Interface, id, _ int) error {
	return review(ctx, client, m.tokens[id][0])
}

func review(ctx context.Context, client kubernetes.Interface, token string) error {
	r, err := client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err == nil && !r.Status.Authenticated {
		err = errors.New("a good token was refused: " + r.Status.Error)
	}
	return err
}
