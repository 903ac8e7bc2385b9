import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

extension ServeTests {
    @Suite("Many, slow and broken clients") struct Load {
        /// The resident memory a server may ever have had: it holds pieces, never files.
        private static let mostMemory = 256 << 10

        @Test(
            "64 clients at once with 50 MiB each, up and down: memory is bounded, every byte is right, no part is ever visible"
        )
        func atOnce() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let body = (0..<(50 << 20)).map { UInt8(truncatingIfNeeded: $0 >> 8 ^ $0) }
            let head = Array(
                ("--\(RESTPage.boundary)\r\nContent-Disposition: form-data; name=\"entity\"\r\n\r\ne\r\n"
                    + "--\(RESTPage.boundary)\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nt\r\n"
                    + "--\(RESTPage.boundary)\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n").utf8)
            let clients = 64
            let threads = Threads()
            let partial = Monitor<[String]>([])
            let isOver = Monitor(false)
            let watch = try ServiceThread(name: "watch") {
                while !isOver.withLock({ $0 }) {
                    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                    where !name.hasPrefix(".fx") {
                        var status = stat()
                        if stat("\(directory)/\(name)", &status) == 0, status.st_size != body.count {
                            partial.withLock { $0.append("\(name): \(status.st_size)") }
                        }
                    }
                    usleep(20_000)
                }
            }
            // A quarter gets its file, under four names, so that they also meet; the others are cut off at the last byte, so that
            // the disk of a small machine is enough.
            for number in 0..<clients {
                threads.start {
                    let tail = Array(
                        ("\r\n--\(RESTPage.boundary)\r\nContent-Disposition: form-data; name=\"fileName\"\r\n\r\nf\(number / 4 % 4)\r\n"
                            + "--\(RESTPage.boundary)--\r\n").utf8)
                    let connection = try LoopbackConnection(port: served.port, seconds: 200)
                    try connection.send(
                        "POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                            + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nConnection: close\r\n"
                            + "Content-Length: \(head.count + body.count + tail.count)\r\n\r\n")
                    try connection.send(head)
                    try connection.send(body)
                    guard number % 4 == 0 else {
                        try connection.send(Array(tail.dropLast(4)))
                        return connection.reset()
                    }
                    try connection.send(tail)
                    let answer = try connection.answer()
                    #expect(answer.status == 200, "\(answer.text)")
                }
            }
            try threads.join()
            isOver.withLock { $0 = true }
            watch.join()
            #expect(partial.withLock { $0 }.isEmpty)
            let whileReceiving = try served.memory("VmHWM")
            #expect(whileReceiving < Load.mostMemory, "\(whileReceiving) KiB")
            let expected = "\(served.scratch.path)/expected"
            try Data(body).write(to: URL(fileURLWithPath: expected))
            // By curl and cmp: nothing is held here.
            let script = """
                read_one() {
                    curl -sS -m 200 -H 'Origin: \(Served.app)' -H 'Content-Type: application/json' \
                        -d '{"entity":"e","type":"t","fileName":"f'$1'"}' "http://127.0.0.1:\(served.port)\(RESTPage.base)upload" | cmp - '\(expected)'
                }
                for number in $(seq \(clients)); do read_one $((number % 4)) & jobs="$jobs $!"; done
                for job in $jobs; do wait $job || exit 1; done
                """
            let read = try Served.command(["bash", "-o", "pipefail", "-c", script], seconds: 240)
            #expect(read.code == 0, "\(read.errors.suffix(1000))")
            let memory = try served.memory("VmHWM")
            #expect(memory < Load.mostMemory, "\(memory) KiB")
            #expect(
                try waitUntil(seconds: 20) {
                    try served.owner("GET", "/fxmount/v1/transfers").json?["data"]?["running"] == 0
                })
            let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { !$0.hasPrefix(".fx") }
            #expect(names.sorted() == ["f0", "f1", "f2", "f3"])
        }

        @Test("50 MiB down and up 200 times: every byte is right, and memory is what it was after the first ones")
        func again() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let source = "\(served.scratch.path)/source"
            try Data((0..<(50 << 20)).map { UInt8(truncatingIfNeeded: $0 >> 8 ^ $0) }).write(
                to: URL(fileURLWithPath: source))
            // Behind the server's back each file goes again: 200 versions would take 10 GB.
            let script = """
                call() { curl -sS -f -m 100 -H 'Origin: \(Served.app)' "$@"; }
                for number in $(seq "$1"); do
                    call -o /dev/null -H 'X-CSRF-Token: t' -F entity=e -F type=t -F fileName=f -F 'file=@\(source)' \
                        "http://127.0.0.1:\(served.port)\(RESTPage.base)download" || exit 1
                    call -H 'Content-Type: application/json' -d '{"entity":"e","type":"t","fileName":"f"}' \
                        "http://127.0.0.1:\(served.port)\(RESTPage.base)upload" | cmp - '\(source)' || exit 1
                    rm '\(directory)/f'
                done
                """
            func times(_ count: Int) throws -> Int {
                let ended = try Served.command(
                    ["bash", "-o", "pipefail", "-c", script, "bash", String(count)], seconds: 300)
                #expect(ended.code == 0, "\(ended.errors.suffix(1000))")
                return try served.memory("VmHWM")
            }
            let first = try times(20)
            let last = try times(180)
            #expect(last < first + (16 << 10), "\(first) KiB, then \(last) KiB")
        }

        @Test("Cut downloads, at any place, leave nothing; the server goes on")
        func cut() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            let form = RESTPage.form(RESTPage.parts("e", "t", "f", [UInt8](repeating: 65, count: 400_000)))
            for seed in seeds(40) {
                var random = SeededGenerator(seed)
                let connection = try LoopbackConnection(port: served.port)
                let request =
                    Array(
                        ("POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                            + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nContent-Length: \(form.count)\r\n\r\n")
                            .utf8) + form
                try connection.send(Array(request[..<random.below(request.count)]))
                if random.below(2) == 0 { connection.reset() }
            }
            #expect(
                try waitUntil(seconds: 20) {
                    try served.owner("GET", "/fxmount/v1/transfers").json?["data"]?["running"] == 0
                })
            #expect(try Served.names(below: directory).isEmpty)
            #expect(try served.page().download("e", "t", "f", [1]).status == 200)
        }

        @Test("Readers that leave in the middle of an answer are let go, and the transfer counts as failed")
        func cutReaders() throws {
            let served = try Served()
            let directory = try served.map("e", "t")
            try Data(count: 40 << 20).write(to: URL(fileURLWithPath: "\(directory)/f"))
            for _ in 0..<10 {
                let connection = try LoopbackConnection(port: served.port)
                let body = #"{"entity":"e","type":"t","fileName":"f"}"#
                try connection.send(
                    "POST \(RESTPage.base)upload HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                        + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(try connection.head().status == 200)
                connection.reset()
            }
            func transfers() throws -> JSONValue? { try served.owner("GET", "/fxmount/v1/transfers").json?["data"] }
            #expect(try waitUntil(seconds: 40) { try transfers()?["running"] == 0 })
            let states = try transfers()?["transfers"]?.elements?.compactMap { $0["state"]?.string } ?? []
            #expect(states.count == 10 && states.allSatisfy { $0 == "FAILED" }, "\(states)")
        }

        @Test(
            "A client that stops sending is cut off after the idle time, in head and body; others are served meanwhile")
        func slow() throws {
            let served = try Served(configuration: "[serve]\nidle_timeout = \"1s\"\n")
            let directory = try served.map("e", "t")
            let heads = [
                "POST \(RESTPage.base)list-types HTT",
                "POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                    + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nContent-Length: 100000\r\n\r\n--\(RESTPage.boundary)\r\n",
            ]
            let idle = try (heads + heads).map { text -> LoopbackConnection in
                let connection = try LoopbackConnection(port: served.port, seconds: 20)
                try connection.send(text)
                return connection
            }
            #expect(try served.page().data("list-types", [:])["total"] == 1)
            for connection in idle {
                // The end of the connection, with or without an answer, and not our own deadline of 20 s.
                let ended = ContinuousDeadline.after(.seconds(19))
                _ = try? connection.answer()
                #expect(!ended.hasPassed)
            }
            #expect(try Served.names(below: directory).isEmpty)
        }

        @Test("A client that stops reading is cut off after the idle time; others are served meanwhile")
        func stalledReaders() throws {
            let served = try Served(configuration: "[serve]\nidle_timeout = \"1s\"\n")
            let directory = try served.map("e", "t")
            // More than the sockets of both sides hold.
            try Data(count: 50 << 20).write(to: URL(fileURLWithPath: "\(directory)/f"))
            let body = #"{"entity":"e","type":"t","fileName":"f"}"#
            let stalled = try (0..<4).map { _ in
                let connection = try LoopbackConnection(port: served.port, seconds: 60)
                try connection.send(
                    "POST \(RESTPage.base)upload HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                        + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
                #expect(try connection.head().status == 200)
                return connection
            }
            #expect(try served.page().data("list-types", [:])["total"] == 1)
            func transfers() throws -> JSONValue? { try served.owner("GET", "/fxmount/v1/transfers").json?["data"] }
            #expect(try waitUntil(seconds: 60) { try transfers()?["running"] == 0 })
            let states = try transfers()?["transfers"]?.elements?.compactMap { $0["state"]?.string } ?? []
            #expect(states.count == 4 && states.allSatisfy { $0 == "FAILED" }, "\(states)")
            withExtendedLifetime(stalled) {}
        }

        @Test("A connection past the limit waits until another one ends, and is served then")
        func connections() throws {
            let served = try Served(configuration: "[serve]\nconnections = 4\nidle_timeout = \"10m\"\n")
            _ = try served.map("e", "t")
            #expect(try served.page().data("list-types", [:])["total"] == 1)
            let idle = try (0..<4).map { _ in
                let connection = try LoopbackConnection(port: served.port, seconds: 60)
                // Answered, and kept: it is one the server has.
                let body = "{}"
                try connection.send(
                    "POST \(RESTPage.base)list-types HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                        + "X-CSRF-Token: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n\(body)")
                #expect(try connection.head().status == 200)
                return connection
            }
            func ask(_ connection: LoopbackConnection) throws {
                try connection.send(
                    "GET /openapi.json HTTP/1.1\r\nHost: localhost:\(served.port)\r\nConnection: close\r\n\r\n")
            }
            let impatient = try LoopbackConnection(port: served.port, seconds: 1)
            try ask(impatient)
            #expect(throws: NoAnswer.self) { try impatient.head() }
            let patient = try LoopbackConnection(port: served.port, seconds: 60)
            try ask(patient)
            for connection in idle { connection.finishSending() }
            #expect(try patient.head().status == 200)
        }

        @Test("More requests than the configured rate are refused with 429 and when to come again")
        func rate() throws {
            let served = try Served(configuration: "[serve]\nrequests_per_second = 5\n")
            let answers = try (0..<40).map { _ in try served.page().call("list-types", [:]) }
            let refused = answers.filter { $0.status == 429 }
            #expect(!refused.isEmpty && refused.allSatisfy { $0["Retry-After"] == "1" })
            #expect(answers.contains { $0.status == 200 })
        }

        @Test("Progress: each transfer and all together, an application's own only")
        func progress() throws {
            let other = "https://other.example.org"
            let served = try Served(consents: [Served.app, other])
            try served.map("e", "t")
            let form = RESTPage.form(RESTPage.parts("e", "t", "f", [UInt8](repeating: 65, count: 3 << 20)))
            let connection = try LoopbackConnection(port: served.port)
            try connection.send(
                "POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                    + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nContent-Length: \(form.count)\r\n\r\n")
            try connection.send(Array(form[..<(2 << 20)]))
            func transfers(_ origin: String) throws -> JSONValue? {
                try LoopbackClient(port: served.port).get("/fxmount/v1/transfers", fields: [("Origin", origin)]).json?[
                    "data"]
            }
            #expect(
                try waitUntil(seconds: 20) {
                    let seen = try transfers(Served.app)
                    return seen?["running"] == 1 && (seen?["bytes"]?.integer ?? 0) >= 1 << 20
                })
            #expect(try transfers(other)?["transfers"]?.elements?.isEmpty == true)
            try connection.send(Array(form[(2 << 20)...]))
            #expect(try connection.answer().status == 200)
            let ended = try transfers(Served.app)
            #expect(ended?["running"] == 0 && ended?["transfers"]?.elements?.first?["state"] == "DONE")
            #expect(ended?["transfers"]?.elements?.first?["fileName"] == "f")
        }
    }
}
