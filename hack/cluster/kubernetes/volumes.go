package main

import (
	"os"

	"github.com/fsnotify/fsnotify"
	"k8s.io/klog/v2"
)

// hostPathVolumes is where Kubernetes' host-path provisioner, which has no setting for it, makes volumes.
const hostPathVolumes = "/tmp/hostpath_pv"

// openVolumes lets everybody write to a volume that the host-path provisioner makes: it makes them for root
// alone, and fsGroup does not apply to host paths, so a Pod that does not run as root could not use its claim.
// It returns once the folder is watched, or at once if there is none and so nothing to provision into.
func openVolumes() {
	if _, err := os.Stat(hostPathVolumes); err != nil {
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		err = watcher.Add(hostPathVolumes)
	}
	if err != nil {
		klog.ErrorS(err, "Cannot watch for new volumes; only root will be able to write to them")
		return
	}
	go func() {
		for {
			select {
			case event := <-watcher.Events:
				if event.Has(fsnotify.Create) {
					if err := os.Chmod(event.Name, 0o777); err != nil {
						klog.ErrorS(err, "Cannot open a volume to everybody", "path", event.Name)
					}
				}
			case err := <-watcher.Errors:
				klog.ErrorS(err, "Lost sight of new volumes for a moment")
			}
		}
	}()
}
