// Command kubectl is upstream's command of that name, built from the published
// library at the version that the server speaks, so that no download is needed to
// use or test laterna. It is a program of its own because linking it into laterna
// would cost start time and memory.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
