package sts

import (
	"net/http"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/aws/arn"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
)

// Fault is what a test wants to go wrong.
type Fault struct {
	// IssuerDelay is added to the time that issuers take to tell their keys; IssuersFail has
	// none of them answer.
	IssuerDelay metav1.Duration `json:"issuerDelay,omitzero"`
	IssuersFail bool            `json:"issuersFail,omitempty"`
	// DisabledRegions are those in which STS is switched off.
	DisabledRegions []string `json:"disabledRegions,omitempty"`
	// Throttled answers every call with Throttling.
	Throttled bool `json:"throttled,omitempty"`
	// SessionLife is how long sessions last, whatever was asked for; 0 is as asked.
	SessionLife metav1.Duration `json:"sessionLife,omitzero"`
}

// Faults are those that are switched on. Its zero value and nil are none.
type Faults struct {
	mu  sync.Mutex
	now Fault
}

// Set switches faults on, in place of those before.
func (f *Faults) Set(now Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
}

// Get returns the faults that are switched on.
func (f *Faults) Get() Fault {
	if f == nil {
		return Fault{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *Faults) issuers() webidentity.Faults {
	now := f.Get()
	return webidentity.Faults{Delay: now.IssuerDelay.Duration, Fail: now.IssuersFail}
}

// disabled is the answer of a region that the account has not switched on.
func disabled(call *query.Call) *query.Error {
	role, _ := arn.ParseRole(call.Form.Get("RoleArn")) // what is none is of no account
	return query.Refuse(http.StatusForbidden, "RegionDisabledException",
		"STS is not activated in this region for account:%s. Your account administrator can activate STS in this region using the IAM Console.", role.Account)
}
