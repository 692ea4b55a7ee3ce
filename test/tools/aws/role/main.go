// Package main is the client in Go, see package aws.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

func main() {
	ctx := context.Background()
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	callers, roles := sts.NewFromConfig(loaded), iam.NewFromConfig(loaded)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		what, name, _ := strings.Cut(lines.Text(), " ")
		var said string
		var err error
		switch what {
		case "whoami":
			var out *sts.GetCallerIdentityOutput
			if out, err = callers.GetCallerIdentity(ctx, nil); err == nil {
				used, failed := loaded.Credentials.Retrieve(ctx)
				said, err = *out.Arn+" "+used.AccessKeyID, failed
			}
		case "role":
			var out *iam.GetRoleOutput
			if out, err = roles.GetRole(ctx, &iam.GetRoleInput{RoleName: &name}); err == nil {
				said = *out.Role.Arn
			}
		case "roles":
			var out *iam.ListRolesOutput
			if out, err = roles.ListRoles(ctx, nil); err == nil {
				for _, r := range out.Roles {
					said += *r.RoleName + " "
				}
			}
		default:
			err = fmt.Errorf("what is %q?", what)
		}
		fmt.Println(answer(said, err))
	}
}

func answer(said string, err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return "error " + api.ErrorCode() + ": " + api.ErrorMessage()
	}
	if err != nil {
		return "error client: " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	return strings.TrimSpace(said)
}
