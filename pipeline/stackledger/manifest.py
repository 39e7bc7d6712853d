from stackledger.capture.manifest import FILE_NAME, Manifest, load
