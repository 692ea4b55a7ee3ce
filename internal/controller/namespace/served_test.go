package namespace

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
)

// served answers the one question that the fake discovery client leaves open.
type served struct {
	discovery.DiscoveryInterface
	lists []*metav1.APIResourceList
}

func (s served) ServerPreferredNamespacedResources() ([]*metav1.APIResourceList, error) {
	return s.lists, nil
}
