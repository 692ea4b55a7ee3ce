package runspec

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Handler returns what tells by which of the runtime's handlers pods of a RuntimeClass are
// run. The API may take timeout for an answer.
func Handler(client kubernetes.Interface, timeout time.Duration) func(ctx context.Context, class string) (string, error) {
	return func(ctx context.Context, class string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		c, err := client.NodeV1().RuntimeClasses().Get(ctx, class, metav1.GetOptions{})
		if err != nil {
			return "", fmt.Errorf("failed to get RuntimeClass %s: %w", class, err)
		}
		return c.Handler, nil
	}
}
