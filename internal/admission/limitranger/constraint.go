package limitranger

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// check compares requests and limits with all that an item says.
func check(item *corev1.LimitRangeItem, requests, limits corev1.ResourceList) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(item.Min)) {
		errs = add(errs, least(item.Type, name, item.Min[name], requests, limits))
	}
	for _, name := range slices.Sorted(maps.Keys(item.Max)) {
		errs = add(errs, most(item.Type, name, item.Max[name], requests, limits))
	}
	for _, name := range slices.Sorted(maps.Keys(item.MaxLimitRequestRatio)) {
		errs = add(errs, ratio(item.Type, name, item.MaxLimitRequestRatio[name], requests, limits))
	}
	return errs
}

// checkRequests compares requests of what has no limits.
func checkRequests(item *corev1.LimitRangeItem, requests corev1.ResourceList) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(item.Min)) {
		errs = add(errs, least(item.Type, name, item.Min[name], requests, nil))
	}
	for _, name := range slices.Sorted(maps.Keys(item.Max)) {
		enforced := item.Max[name]
		request, asked := requests[name]
		switch {
		case !asked:
			errs = append(errs, fmt.Errorf("maximum %s usage per %s is %s.  No request is specified", name, item.Type, enforced.String()))
		case request.Cmp(enforced) > 0:
			errs = append(errs, fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, item.Type, enforced.String(), request.String()))
		}
	}
	return errs
}

func add(errs []error, err error) []error {
	if err == nil {
		return errs
	}
	return append(errs, err)
}

func least(t corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	switch {
	case !asked:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, t, enforced.String())
	case request.Cmp(enforced) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, t, enforced.String(), request.String())
	case limited && limit.Cmp(enforced) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, t, enforced.String(), limit.String())
	}
	return nil
}

func most(t corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, t, enforced.String())
	case limit.Cmp(enforced) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, t, enforced.String(), limit.String())
	case asked && request.Cmp(enforced) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, t, enforced.String(), request.String())
	}
	return nil
}

func ratio(t corev1.LimitType, name corev1.ResourceName, enforced resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	const text = "%s max limit to request ratio per %s is %s, but "
	switch {
	case !asked || request.IsZero():
		return fmt.Errorf(text+"no request is specified or request is 0", name, t, enforced.String())
	case !limited || limit.IsZero():
		return fmt.Errorf(text+"no limit is specified or limit is 0", name, t, enforced.String())
	}
	if given := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); given > enforced.AsApproximateFloat64() {
		return fmt.Errorf(text+"provided ratio is %f", name, t, enforced.String(), given)
	}
	return nil
}
