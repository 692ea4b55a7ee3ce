package resource

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Column describes one column of a kind's table. Priority 0 columns are always
// printed, priority 1 columns with `kubectl get -o wide`.
type Column = metav1.TableColumnDefinition

// Columns are the columns and cells of a kind's table. Columns holds all of them
// in the order of printing, Name and Age among them; Row returns one cell for
// each. Conditions, if not nil, returns the marks of the object's row, and Order, if not
// nil, in which order rows stand that do not stand by name.
type Columns[T Object] struct {
	Columns    []Column
	Row        func(obj T) []any
	Conditions func(obj T) []metav1.TableRowCondition
	Order      func(a, b T) int
}

// Name is the first column of every kind.
func Name() Column {
	return Column{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

// AgeColumn is the age column of every kind; its cell is Age(obj).
func AgeColumn() Column {
	return Column{Name: "Age", Type: "string", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]}
}

// Age returns the cell of AgeColumn for obj.
func Age(obj metav1.Object) string { return Since(obj.GetCreationTimestamp()) }

// Since returns the short form of the time passed since t, "<unknown>" for zero.
func Since(t metav1.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(t.Time))
}

// NewTableConvertor returns the table of a kind that is not served by a Store.
func NewTableConvertor[T Object](columns Columns[T]) rest.TableConvertor {
	return tableConvertor[T]{columns}
}

type tableConvertor[T Object] struct{ columns Columns[T] }

var _ rest.TableConvertor = tableConvertor[Object]{}

// ConvertToTable implements rest.TableConvertor for objects and lists of T.
func (t tableConvertor[T]) ConvertToTable(_ context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		table.ColumnDefinitions = t.columns.Columns
	}
	if m, err := meta.ListAccessor(obj); err == nil {
		table.ResourceVersion = m.GetResourceVersion()
		table.Continue = m.GetContinue()
		table.RemainingItemCount = m.GetRemainingItemCount()
	} else if m, err := meta.CommonAccessor(obj); err == nil {
		table.ResourceVersion = m.GetResourceVersion()
	}
	var err error
	table.Rows, err = metatable.MetaToTableRow(obj, func(o runtime.Object, _ metav1.Object, _, _ string) ([]any, error) {
		typed, ok := o.(T)
		if !ok {
			return []any{accessorName(o)}, nil
		}
		return t.columns.Row(typed), nil
	})
	if t.columns.Conditions != nil {
		for i := range table.Rows {
			if o, ok := table.Rows[i].Object.Object.(T); ok {
				table.Rows[i].Conditions = t.columns.Conditions(o)
			}
		}
	}
	if t.columns.Order != nil {
		slices.SortStableFunc(table.Rows, func(a, b metav1.TableRow) int {
			return t.columns.Order(a.Object.Object.(T), b.Object.Object.(T))
		})
	}
	return table, err
}
