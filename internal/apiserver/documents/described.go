package documents

import (
	"net/http"

	restful "github.com/emicklei/go-restful/v3"

	"laterna.dev/laterna/internal/tokens/issuer"
)

// describedOnly are the issuers' documents as OpenAPI describes them, under the names that
// generated clients have for them. The table of routes answers them.
func describedOnly() []*restful.WebService {
	describe := func(path, produces, operation, doc string) *restful.WebService {
		ws := new(restful.WebService).Path(path).Produces(produces)
		return ws.Route(ws.GET("").To(func(*restful.Request, *restful.Response) {}).
			Operation(operation).Doc(doc).Returns(http.StatusOK, "OK", ""))
	}
	return []*restful.WebService{
		describe(issuer.DiscoveryPath, restful.MIME_JSON, "getServiceAccountIssuerOpenIDConfiguration",
			"get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'"),
		describe(issuer.JWKSPath, "application/jwk-set+json", "getServiceAccountIssuerOpenIDKeyset",
			"get service account issuer OpenID JSON Web Key Set (contains public token verification keys)"),
	}
}
