package damaged

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
)

// The errors of reading a stored object say nothing of its content.
var (
	errSealed  = errors.New("its value in the store is damaged: the keys that open others of its kind do not open it")
	errEncoded = errors.New("its value in the store is damaged: it is not the encoding of an object")
)

// NewReader returns a reader of values that are opened, and then decoded.
func NewReader(resource schema.GroupVersionResource, opens value.Transformer, decode func(plain []byte, revision int64) error) Reader {
	return Reader{Resource: resource, Read: func(ctx context.Context, kv *mvccpb.KeyValue) error {
		plain, _, err := opens.TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
		if err != nil {
			return errSealed
		}
		if err := decode(plain, kv.ModRevision); err != nil {
			return errEncoded
		}
		return nil
	}}
}

// Custom decodes custom resources: objects of their group in one of the versions that they
// may be stored in, in any where none is known. That a webhook does not convert one, which
// the decoder of its kind would ask, is no damage.
func Custom(resource schema.GroupResource, versions func(schema.GroupResource) (served string, all []string)) func([]byte, int64) error {
	return func(plain []byte, _ int64) error {
		_, kind, err := unstructured.UnstructuredJSONScheme.Decode(plain, nil, nil)
		if err != nil {
			return err
		}
		if _, all := versions(resource); kind.Group != resource.Group || len(all) > 0 && !slices.Contains(all, kind.Version) {
			return fmt.Errorf("%s is not of %s", kind, resource)
		}
		return nil
	}
}

// Tell logs what was set aside.
func Tell(log *slog.Logger, found []Object) {
	for _, o := range found {
		log.Warn("an object cannot be read, the system goes on without it", "object", o.String(), "key", o.Key, "reason", o.Why, "advice", o.Advice())
	}
}
