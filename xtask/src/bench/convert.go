// The peer of `cargo xtask bench scan`: BuildKit's own frontend, as a library, on the same files and platforms.
//
// It converts each Dockerfile to LLB without an engine, a context or a registry: every image has the same config. In
// Go, because the frontend is; compiled against the sources that Debian's Docker Engine is built from.
//
// Usage: convert PLATFORM,… < paths, one a line. Prints the microseconds, and how many conversions were made and refused.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/containerd/platforms"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	digest "github.com/opencontainers/go-digest"
)

// One layer: without any, an image counts as `scratch`.
const config = `{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":` +
	`["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}`

type images struct{}

func (images) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(config), nil
}

func main() {
	var files []string
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		files = append(files, lines.Text())
	}
	start := time.Now()
	converted, refused := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for _, name := range strings.Split(os.Args[1], ",") {
			platform := platforms.MustParse(name)
			options := dockerfile2llb.ConvertOpt{
				Config:         dockerui.Config{BuildArgs: map[string]string{}},
				TargetPlatform: &platform,
				MetaResolver:   images{},
			}
			_, _, _, _, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, options)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
				refused++
				continue
			}
			converted++
		}
	}
	fmt.Println(time.Since(start).Microseconds(), converted, refused)
}
