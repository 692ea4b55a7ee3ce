package queryapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/iam/queryapi"
)

const providers = "arn:aws:iam::111122223333:oidc-provider/"

func TestProviders(t *testing.T) {
	d := newDesk(t)
	made := d.must("CreateOpenIDConnectProvider", "Url", "https://Issuer.example:443/id/", "ClientIDList.member.1", "sts.amazonaws.com", "ClientIDList.member.2", "b", "ClientIDList.member.3", "b",
		"ThumbprintList.member.1", strings.Repeat("A", 40), "Tags.member.1.Key", "b", "Tags.member.1.Value", "2", "Tags.member.2.Key", "B", "Tags.member.2.Value", "1")
	arn := providers + "Issuer.example/id/"
	d.holds(made, "<OpenIDConnectProviderArn>"+arn+"<", "<Key>b<", "<Key>B<")
	got := d.must("GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	d.holds(got, "<Url>Issuer.example/id/<", "<ClientIDList>", "<member>sts.amazonaws.com<", "<member>b<", "</ClientIDList>", "<member>"+strings.Repeat("a", 40)+"<",
		"<CreateDate>2026-09-11T11:48:26.123Z<", "<Key>B<", "<Key>b<")
	for _, url := range []string{"https://issuer.example/id/", "https://Issuer.example/id", "https://127.0.0.1:6443"} {
		d.must("CreateOpenIDConnectProvider", "Url", url)
	}
	d.holds(d.must("GetOpenIDConnectProvider", "OpenIDConnectProviderArn", providers+"127.0.0.1:6443"), "<ClientIDList></ClientIDList>", "<ThumbprintList></ThumbprintList>", "<Tags></Tags>")
	d.holds(d.must("ListOpenIDConnectProviders"), "<OpenIDConnectProviderList>", "<Arn>"+providers+"127.0.0.1:6443<", "<Arn>"+providers+"Issuer.example/id<", "<Arn>"+arn+"<", "<Arn>"+providers+"issuer.example/id/<")

	for range 2 {
		d.must("AddClientIDToOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "ClientID", "c")
	}
	for range 2 {
		d.must("RemoveClientIDFromOpenIDConnectProvider", "OpenIDConnectProviderArn", arn, "ClientID", "b")
	}
	d.must("UpdateOpenIDConnectProviderThumbprint", "OpenIDConnectProviderArn", arn, "ThumbprintList.member.1", strings.Repeat("z", 40), "ThumbprintList.member.2", strings.Repeat("z", 40))
	got = d.must("GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	d.holds(got, "<member>sts.amazonaws.com<", "<member>c<", "</ClientIDList>", "<member>zzz", "<member>zzz")
	if body := d.must("DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", arn); strings.Contains(body, "Result") {
		t.Errorf("answer %s", body)
	}
	d.refused(404, "NoSuchEntity", "OpenIDConnect Provider not found for arn "+arn, "GetOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
	d.refused(404, "NoSuchEntity", "OpenId connect Provider "+arn+" cannot be found.", "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn", arn)
}

func TestWhatIsWrongWithAProvider(t *testing.T) {
	d := newDesk(t)
	d.must("CreateOpenIDConnectProvider", "Url", "https://a.example")
	arn := providers + "a.example"
	list := func(name, value string, n int) (params []string) {
		for i := range n {
			params = append(params, fmt.Sprintf("%s.member.%d", name, i+1), strings.ReplaceAll(value, "#", fmt.Sprint(i)))
		}
		return params
	}
	for _, tc := range []struct {
		status        int
		code, message string
		action        string
		params        []string
	}{
		{409, "EntityAlreadyExists", "Provider with url https://a.example already exists.", "CreateOpenIDConnectProvider", []string{"Url", "https://a.example:443"}},
		{400, "ValidationError", "Invalid Open ID Connect Provider URL", "CreateOpenIDConnectProvider", []string{"Url", "a.example"}},
		{400, "ValidationError", "1 validation error detected: Value null at 'url' failed to satisfy constraint: Member must not be null", "CreateOpenIDConnectProvider", nil},
		{400, "InvalidInput", "Invalid Open ID Connect Provider URL. The URL must begin with https://.", "CreateOpenIDConnectProvider", []string{"Url", "http://a.example"}},
		{400, "InvalidInput", "Unknown", "CreateOpenIDConnectProvider", []string{"Url", "https://a.example?x=1"}},
		{400, "InvalidInput", "Unknown", "CreateOpenIDConnectProvider", []string{"Url", "https://a.example#x"}},
		{400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries.", "CreateOpenIDConnectProvider", append(list("ThumbprintList", strings.Repeat("a", 40), 6), "Url", "https://b.example")},
		{400, "ValidationError", "1 validation error detected: Value at 'thumbprintList' failed to satisfy constraint: Member must satisfy constraint: [Member must have length greater than or equal to 40]", "CreateOpenIDConnectProvider", append(list("ThumbprintList", "a", 1), "Url", "https://b.example")},
		{409, "LimitExceeded", "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100", "CreateOpenIDConnectProvider", append(list("ClientIDList", "c#", 101), "Url", "https://b.example")},
		{400, "InvalidInput", "Thumbprint list must contain at least one entry.", "UpdateOpenIDConnectProviderThumbprint", []string{"OpenIDConnectProviderArn", arn, "ThumbprintList", ""}},
		{400, "InvalidInput", "Tag keys beginning with aws: are reserved for system use.", "TagOpenIDConnectProvider", append(list("Tags", "", 0), "OpenIDConnectProviderArn", arn, "Tags.member.1.Key", "aws:x", "Tags.member.1.Value", "")},
		{400, "ValidationError", "Invalid ARN:  Could not be parsed!", "GetOpenIDConnectProvider", []string{"OpenIDConnectProviderArn", "arn:aws:iam::x:oidc-provider/a"}},
		{404, "NoSuchEntity", "OpenIDConnect Provider not found for arn " + arn + "/", "AddClientIDToOpenIDConnectProvider", []string{"OpenIDConnectProviderArn", arn + "/", "ClientID", "x"}},
		{403, "AccessDenied", "User: arn:aws:iam::111122223333:user/administrator is not authorized to perform: iam:GetOpenIDConnectProvider on resource: arn:aws:iam::444455556666:oidc-provider/a.example because no resource-based policy allows the iam:GetOpenIDConnectProvider action",
			"GetOpenIDConnectProvider", []string{"OpenIDConnectProviderArn", "arn:aws:iam::444455556666:oidc-provider/a.example"}},
	} {
		d.refused(tc.status, tc.code, tc.message, tc.action, tc.params...)
	}
	for i := range 99 {
		d.must("CreateOpenIDConnectProvider", "Url", fmt.Sprintf("https://p%d.example", i))
	}
	d.refused(409, "LimitExceeded", "Cannot exceed quota for OpenIDConnectProvidersPerAccount: 100", "CreateOpenIDConnectProvider", "Url", "https://one.more.example")
}

func TestTagsOfAProvider(t *testing.T) {
	d := newDesk(t)
	d.must("CreateOpenIDConnectProvider", "Url", "https://a.example", "Tags.member.1.Key", "a", "Tags.member.1.Value", "1")
	arn := []string{"OpenIDConnectProviderArn", providers + "a.example"}
	d.must("TagOpenIDConnectProvider", append(arn, "Tags.member.1.Key", "a", "Tags.member.1.Value", "2", "Tags.member.2.Key", "A", "Tags.member.2.Value", "aws:ok")...)
	d.holds(d.must("ListOpenIDConnectProviderTags", arn...), "<IsTruncated>false<", "<Key>A<", "<Value>aws:ok<", "<Key>a<", "<Value>2<")
	page := d.must("ListOpenIDConnectProviderTags", append(arn, "MaxItems", "1")...)
	d.holds(d.must("ListOpenIDConnectProviderTags", append(arn, "Marker", marker(t, page))...), "<IsTruncated>false<", "<Key>a<")
	d.must("UntagOpenIDConnectProvider", append(arn, "TagKeys", "")...)
	d.must("UntagOpenIDConnectProvider", append(arn, "TagKeys.member.1", "a", "TagKeys.member.2", "none")...)
	d.lacks(d.must("ListOpenIDConnectProviderTags", arn...), "<Key>a<")
	for i := range 49 {
		d.must("TagOpenIDConnectProvider", append(arn, "Tags.member.1.Key", fmt.Sprint(i), "Tags.member.1.Value", "")...)
	}
	d.refused(409, "LimitExceeded", "The number of tags has reached the maximum limit.", "TagOpenIDConnectProvider", append(arn, "Tags.member.1.Key", "x", "Tags.member.1.Value", "")...)
}

func TestThumbprintIsFetchedWhereNoneIsSent(t *testing.T) {
	d := newDesk(t, func(c *queryapi.Config) {
		c.Thumbprint = func(_ context.Context, issuer string) (string, error) {
			if issuer == "away.example" {
				return "", errors.New("no such host")
			}
			return strings.Repeat("d", 40), nil
		}
	})
	d.must("CreateOpenIDConnectProvider", "Url", "https://a.example")
	d.holds(d.must("GetOpenIDConnectProvider", "OpenIDConnectProviderArn", providers+"a.example"), "<member>dddd")
	d.refused(400, "OpenIdIdpCommunicationError", "Could not connect to https://away.example", "CreateOpenIDConnectProvider", "Url", "https://away.example")
}
