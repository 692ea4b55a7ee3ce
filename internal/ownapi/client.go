// Package ownapi makes clients of the API groups that this project adds, which
// client-go does not know. The kinds themselves live in api.
package ownapi

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// NewClient returns a client of a group; add adds its kinds to a scheme. With the same
// credentials it shares its connection with other clients of the process. It speaks
// JSON: our kinds have no protobuf form.
func NewClient(config *rest.Config, version schema.GroupVersion, add func(*runtime.Scheme) error) (rest.Interface, error) {
	s := runtime.NewScheme()
	if err := add(s); err != nil {
		return nil, fmt.Errorf("adding the kinds of %s: %w", version, err)
	}
	c := rest.CopyConfig(config)
	c.APIPath = "/apis"
	c.GroupVersion = &version
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c.NegotiatedSerializer = serializer.NewCodecFactory(s).WithoutConversion()
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("making a client of %s: %w", version, err)
	}
	return client, nil
}
