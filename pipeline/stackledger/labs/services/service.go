// The compared service in Go: a goroutine per connection, standard library only.
//
//	service PORT REDIS_PORT FOLDER
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const steps, recordBytes, records = 20000, 4096, 64

func compute(number int) int {
	value := number % 65537
	for step := 0; step < steps; step++ {
		value = (value*75 + 74) % 65537
	}
	return value
}

// worker is what one request at a time uses: a connection to Redis, a file.
type worker struct {
	redis  net.Conn
	reader *bufio.Reader
	file   *os.File
	saved  int64
}

func newWorker(number int, redisPort, folder string) (*worker, error) {
	redis, err := net.Dial("tcp", "127.0.0.1:"+redisPort)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, fmt.Sprintf("go-%d", number))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = file.WriteAt(make([]byte, records*recordBytes), 0); err != nil {
		return nil, err
	}
	return &worker{redis: redis, reader: bufio.NewReader(redis), file: file}, file.Sync()
}

func (w *worker) get(key string) (string, error) {
	if _, err := fmt.Fprintf(w.redis, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key); err != nil {
		return "", err
	}
	if _, err := w.reader.ReadString('\n'); err != nil {
		return "", err
	}
	value, err := w.reader.ReadString('\n')
	return strings.TrimRight(value, "\r\n"), err
}

func (w *worker) save(text string) error {
	record := make([]byte, recordBytes)
	copy(record, text)
	w.saved = (w.saved + 1) % records
	if _, err := w.file.WriteAt(record, w.saved*recordBytes); err != nil {
		return err
	}
	return syscall.Fdatasync(int(w.file.Fd()))
}

func main() {
	port, redisPort, folder := os.Args[1], os.Args[2], os.Args[3]
	idle := make(chan *worker, 256)
	for number := 0; number < 32; number++ {
		it, err := newWorker(number, redisPort, folder)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		idle <- it
	}
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		words := strings.Split(request.URL.Path, "/")
		if words[1] != "work" {
			fmt.Fprint(answer, "ok")
			return
		}
		number, _ := strconv.Atoi(words[2])
		value := compute(number)
		it := <-idle
		defer func() { idle <- it }()
		item, err := it.get("item:" + words[2])
		if err == nil {
			err = it.save(item)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(answer, "%d %s", value, item)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, nil))
	os.Exit(1)
}
