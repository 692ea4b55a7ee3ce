package answers

import (
	"net/http"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
)

// listForm is what a list becomes before it is written.
type listForm int

const (
	// itemForm is written item by item.
	itemForm listForm = iota
	// metadataForm is encoded whole, with the metadata of its objects: tables, and
	// lists of PartialObjectMetadata.
	metadataForm
	// wholeForm is encoded whole: tables with their objects, and what is audited with
	// its response.
	wholeForm
)

// formOf reads from a request what its list becomes.
func formOf(req *http.Request) listForm {
	if audited := audit.AuditContextFrom(req.Context()); audited != nil && audited.Enabled() && !audited.GetEventLevel().Less(auditinternal.LevelRequestResponse) {
		return wholeForm
	}
	switch accept := req.Header.Get("Accept"); {
	case strings.Contains(accept, "as=Table") && req.URL.Query().Get("includeObject") == string(metav1.IncludeObject):
		return wholeForm
	case strings.Contains(accept, "as="):
		return metadataForm
	}
	return itemForm
}

// What a list holds, in bytes.
const (
	// listBase is what any list needs while it is answered, most of it for gzip.
	listBase = 1 << 20
	// listFree is what a list may hold without being counted: listBase of as many as
	// may be in flight are no more than an idle system.
	listFree = 64 << 10
	// itemBase is the least that one item takes: its place in the cache's answer, in
	// the list and in the encoder's.
	itemBase = 64
	// rowBase is what a row of a table or the metadata of an object takes besides.
	rowBase = 1024
	// encodedTimes is how often a whole encoding is there at once while its buffer
	// grows, storedTimes the same for what comes from the store: its answer, and the
	// object made of it.
	encodedTimes = 3
	storedTimes  = 3
	// assumedBytes is taken for the size of an object in the store where that is not known.
	assumedBytes = 2 << 10
)

// estimate is what is known of a list before it is made.
type estimate struct {
	form listForm
	// objects is how many there are, average their size in the store.
	objects, average int64
	// item is the size of the Go type.
	item int64
	// stored tells that the list comes from the store and not from the watch cache,
	// whose objects it shares.
	stored bool
}

// bytes returns what the list will hold at most, usually.
func (e estimate) bytes() int64 {
	each := itemBase + e.item
	if e.stored {
		each += storedTimes * e.average
	}
	switch e.form {
	case metadataForm:
		each += rowBase + encodedTimes*min(e.average, rowBase)
	case wholeForm:
		each += rowBase + encodedTimes*e.average
	}
	return e.objects * each
}

// itemBytes returns the size of the items of a list that Go copies.
func itemBytes(list runtime.Object) int64 {
	items, err := meta.GetItemsPtr(list)
	if err != nil {
		return rowBase
	}
	return int64(reflect.TypeOf(items).Elem().Elem().Size())
}

// weigh returns what a list that has been made holds in truth.
func (e estimate) weigh(list runtime.Object) int64 {
	e.objects = int64(meta.LenList(list))
	if e.form == itemForm || e.objects == 0 {
		return e.bytes()
	}
	form := e.form
	e.form = itemForm
	total := e.bytes()
	// An error is of what is not a list.
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		total += rowBase + encodedTimes*encodedBytes(o, form, e.average)
		return nil
	})
	return total
}

// encodedBytes is the size of what a form shows of an object; average where the
// object's type does not tell.
func encodedBytes(o runtime.Object, form listForm, average int64) int64 {
	if form == wholeForm {
		if sized, ok := o.(interface{ Size() int }); ok {
			return int64(sized.Size())
		}
		return average
	}
	m, ok := o.(interface{ GetObjectMeta() metav1.Object })
	if !ok {
		return average
	}
	if sized, ok := m.GetObjectMeta().(interface{ Size() int }); ok {
		return int64(sized.Size())
	}
	return average
}
