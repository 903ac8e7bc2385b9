import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

@testable import FXServe

extension ServeTests {
    @Suite("Start and stop") struct Lifecycle {
        @Test("SIGTERM lets a running download end, refuses new requests, and ends with 0")
        func gracefulStop() throws {
            let served = try Served()
            try served.map("e", "t")
            let form = RESTPage.form(RESTPage.parts("e", "t", "f", [UInt8](repeating: 65, count: 1 << 20)))
            let connection = try LoopbackConnection(port: served.port)
            try connection.send(
                "POST \(RESTPage.base)download HTTP/1.1\r\nHost: localhost:\(served.port)\r\nOrigin: \(Served.app)\r\n"
                    + "X-CSRF-Token: t\r\nContent-Type: \(RESTPage.formType)\r\nContent-Length: \(form.count)\r\n\r\n")
            try connection.send(Array(form[..<(900 << 10)]))
            #expect(
                try waitUntil(seconds: 10) {
                    try served.owner("GET", "/fxmount/v1/transfers").json?["data"]?["running"] == 1
                })
            served.server.signal(SIGTERM)
            #expect(waitUntil(seconds: 10) { (try? LoopbackConnection(port: served.port)) == nil })
            try connection.send(Array(form[(900 << 10)...]))
            #expect(try connection.answer().status == 200)
            #expect(
                waitUntil(seconds: 10) { !FileManager.default.fileExists(atPath: "/proc/\(served.server.process)/exe") }
            )
        }

        @Test(
            "Others than this machine can connect only with TLS and a token",
            arguments: [[], ["--token-file"], ["--tls-cert", "--tls-key"]])
        func remote(given: [String]) throws {
            let scratch = try ScratchDirectory()
            try "token\n".write(toFile: "\(scratch.path)/file", atomically: false, encoding: .utf8)
            chmod("\(scratch.path)/file", 0o600)
            let arguments = given.flatMap { [$0, "\(scratch.path)/file"] }
            let ended = try Served.command(
                [
                    "/usr/bin/env", "FXMOUNT_STATE_DIR=\(scratch.path)/state", Served.program, "serve", "--listen",
                    "0.0.0.0:0",
                ]
                    + arguments, seconds: 20)
            #expect(ended.code == 2, "\(ended.errors)")
            #expect(ended.errors.contains(given == ["--tls-cert", "--tls-key"] ? "token" : "TLS"))
        }

        @Test("Over TLS with a token, as curl sees it")
        func tls() throws {
            let scratch = try ScratchDirectory()
            let made = try Served.command([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "\(scratch.path)/key",
                "-out",
                "\(scratch.path)/cert",
            ])
            try #require(made.code == 0, "\(made.errors)")
            try "the-token\n".write(toFile: "\(scratch.path)/token", atomically: false, encoding: .utf8)
            chmod("\(scratch.path)/token", 0o600)
            let served = try Served(arguments: [
                "--tls-cert", "\(scratch.path)/cert", "--tls-key", "\(scratch.path)/key", "--token-file",
                "\(scratch.path)/token",
            ])
            func curl(_ more: [String]) throws -> JSONValue? {
                let url = "https://127.0.0.1:\(served.port)\(RESTPage.base)list-types"
                let ended = try Served.command(
                    [
                        "curl", "-sS", "--cacert", "\(scratch.path)/cert", "-H", "Origin: \(Served.app)", "-H",
                        "Content-Type: application/json", "-d", "{}",
                    ]
                        + more + [url])
                return JSONValue(parsing: ended.output)
            }
            #expect(try curl([])?["code"] == "121")
            #expect(try curl(["-H", "Authorization: Bearer wrong"])?["code"] == "121")
            #expect(try curl(["-H", "Authorization: Bearer the-token"])?["data"]?["total"] == 0)
        }

        @Test("An address in use is told with 11")
        func inUse() throws {
            let served = try Served()
            let ended = try served.fxmount(["serve", "--listen", "127.0.0.1:\(served.port)", "--quiet"])
            #expect(ended.code == 11, "\(ended.errors)")
        }

        @Test("The log has one line for each request, with neither names nor bytes of files nor keys")
        func log() throws {
            let scratch = try ScratchDirectory()
            let script = """
                "$1" consent grant \(Served.app) >/dev/null
                "$1" type create e t --path "$2" --no-prompt --app app.example.org >/dev/null
                "$1" serve --listen 127.0.0.1:0 --json >"$2.out" 2>"$2.log" &
                server=$!
                for _ in $(seq 200); do grep -q '"port"' "$2.out" && break; sleep 0.05; done
                port=$(sed -n 's/.*"port":\\([0-9]*\\).*/\\1/p' "$2.out")
                curl -sS -H 'Origin: \(Served.app)' -H 'X-CSRF-Token: t' -F entity=e -F type=t -F file=hidden-bytes \\
                    -F fileName=hidden-name "http://127.0.0.1:$port\(RESTPage.base)download" >/dev/null
                kill -TERM $server; wait $server
                """
            let ended = try Served.command([
                "/usr/bin/env", "FXMOUNT_STATE_DIR=\(scratch.path)/state", "bash", "-c", script, "log", Served.program,
                try scratch.directory("data"),
            ])
            #expect(ended.code == 0, "\(ended.errors)")
            let log = try String(contentsOfFile: "\(scratch.path)/data.log", encoding: .utf8)
            let lines = log.split(separator: "\n").compactMap { JSONValue(parsing: $0) }.filter { $0["path"] != nil }
            #expect(
                lines.count == 1 && lines.first?["status"] == 200 && lines.first?["application"] == "app.example.org",
                "\(log)")
            #expect(!log.contains("hidden"))
        }

        @Test("The description of the API in docs is the one the server gives, and names every operation")
        func description() throws {
            let served = try Served()
            let answer = try LoopbackClient(port: served.port).get("/openapi.json")
            let described = try #require(answer.json)
            #expect(described["openapi"] == "3.1.0")
            for operation in FXServe.Operation.allCases {
                #expect(described["paths"]?[RESTPage.base + operation.rawValue]?["post"] != nil, "\(operation)")
            }
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let kept = try String(contentsOf: root.appendingPathComponent("docs/openapi.json"), encoding: .utf8)
            #expect(
                JSONValue(parsing: kept) == described,
                "write it: fxmount serve --openapi | python3 -m json.tool --indent 2 > docs/openapi.json")
            let info = try #require(try LoopbackClient(port: served.port).get("/info").json?["data"])
            #expect(info["t1CInfoAPI"]?["version"] == "3.8.8")
        }

        @Test("Functions there are not, and methods a function has not, are told by the codes for it")
        func unknown() throws {
            let served = try Served()
            let client = LoopbackClient(port: served.port)
            for path in [
                "/nothing", "/v3/modules/fileexchange/apps/file/", RESTPage.base + "delete-file", "/page.css/..",
            ] {
                #expect(try client.get(path).status == 404)
            }
            for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
                let answer = try client.request(method, RESTPage.base + "list-types", fields: [("Origin", Served.app)])
                #expect(answer.status == 405 && answer["Allow"] == "POST")
            }
        }
    }
}
