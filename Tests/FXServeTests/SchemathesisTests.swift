import FXSystem
import Foundation
import ServiceFixtures
import Testing

extension ServeTests {
    @Suite("The description holds") struct Description {
        /// At least this many requests; each operation has its share.
        private static let requests = 5000

        @Test("schemathesis, by the description alone: no 5xx, no hang, no answer that is not described")
        func schemathesis() throws {
            // Nobody to ask: a prompt must be an answer, too. Plenty of requests: the limit is tested elsewhere.
            let served = try Served(
                configuration: "[serve]\nrequests_per_second = 1000000\n", environment: ["DISPLAY": ""])
            // What the examples of the description name.
            let directory = try served.map("acme", "invoices")
            try FileManager.default.createDirectory(
                atPath: "\(directory)/2026/july", withIntermediateDirectories: true)
            for place in ["", "2026/july/"] {
                try "bytes".write(toFile: "\(directory)/\(place)report.pdf", atomically: false, encoding: .utf8)
            }
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().path
            var sent = 0
            // As a page with consent, and as the owner, to whom the administration is open.
            for (who, share) in [
                (["-H", "Origin: \(Served.app)"], "150"),
                (["-H", "Authorization: Bearer \(served.key)", "-H", "X-FXMount-Application: app.example.org"], "20"),
            ] {
                let ended = try Served.command(
                    [
                        "env", "-C", served.scratch.path, "\(root)/.venv/bin/python3", "\(root)/.venv/bin/schemathesis",
                        "run",
                        "http://127.0.0.1:\(served.port)/openapi.json", "--url", "http://127.0.0.1:\(served.port)",
                        "-H", "X-CSRF-Token: schemathesis", "--checks",
                        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                        "--mode", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", share, "--workers",
                        "2",
                        "--request-timeout", "20", "--no-shrink", "--generation-database", "none", "--no-color",
                    ] + who, seconds: 400)
                #expect(ended.code == 0, "\(ended.output.suffix(6000))\n\(ended.errors.suffix(2000))")
                sent += try #require(Self.requestCount(ended.output), "\(ended.output.suffix(3000))")
            }
            #expect(sent >= Self.requests, "\(sent) requests")
            // The file is where it was, or where it was moved to; a version otherwise.
            #expect(
                try Served.names(below: directory).contains {
                    FileManager.default.contents(atPath: "\(directory)/\($0)") == Data("bytes".utf8)
                })
        }

        /// "Test cases: N generated, …" of the closing lines.
        private static func requestCount(_ output: String) -> Int? {
            for line in output.split(separator: "\n") where line.contains(" generated, ") {
                let words = line.split(whereSeparator: { !$0.isNumber })
                if let number = words.first.flatMap({ Int($0) }) { return number }
            }
            return nil
        }
    }
}
