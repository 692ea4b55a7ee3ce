package queryapi_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/iam/queryapi"
)

// troubled is a store in which updates fail.
type troubled struct {
	iam.Store
	err error
}

func (s troubled) UpdateRole(context.Context, string, string, func(*iam.Role) error) (iam.Role, error) {
	return iam.Role{}, s.err
}

func TestUpdateThatOthersOvertakeIsTold(t *testing.T) {
	d := newDesk(t, func(c *queryapi.Config) {
		c.Store = troubled{c.Store, fmt.Errorf("role x: %w", iam.ErrConflict)}
	})
	d.makeRole("a")
	const text = "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again."
	d.refused(409, "ConcurrentModification", text, "UpdateRole", "RoleName", "a", "Description", "x")
	d.refused(409, "ConcurrentModification", text, "PutRolePolicy", "RoleName", "a", "PolicyName", "p", "PolicyDocument", readAll)
}

func TestFaultsOfTheStoreTellNothing(t *testing.T) {
	d := newDesk(t, func(c *queryapi.Config) { c.Store = troubled{c.Store, errors.New("etcd at 10.1.2.3 is away")} })
	d.makeRole("a")
	a := d.do("UpdateRole", "RoleName", "a", "Description", "x")
	var f fault
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil || a.status != 500 || f.Code != "InternalFailure" || f.Type != "Receiver" || strings.Contains(a.body, "etcd") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestDocumentsAreEncodedAsRFC3986Has(t *testing.T) {
	d := newDesk(t)
	d.makeRole("a")
	document := strings.Replace(readAll, `"Effect"`, "\n\t\"Sid\" : \"aZ09\",\r\n\"Condition\":{\"StringEquals\":{\"aws:x\":\"-_.~!*'()+ /é\"}}, \"Effect\"", 1)
	d.must("PutRolePolicy", "RoleName", "a", "PolicyName", "p", "PolicyDocument", document)
	d.holds(d.must("GetRolePolicy", "RoleName", "a", "PolicyName", "p"), "%0A%09%22Sid%22%20%3A%20%22aZ09%22%2C%0D%0A", "-_.~%21%2A%27%28%29%2B%20%2F%C3%A9%22")
}
