import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

extension ServeTests {
    /// The page at `/` in Debian's Chromium, steered over its debugging port by `browser.py`.
    @Suite("The owner's page") struct Page {
        /// Runs the browser's steps; answers its one line of JSON.
        private func browse(_ served: Served, _ steps: String, screenshot: String) throws -> JSONValue {
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("Support/browser.py").path
            let ended = try Served.command(
                [
                    "env", "HOME=\(served.scratch.path)", "python3", script, steps, "http://127.0.0.1:\(served.port)/",
                    served.key, screenshot,
                ], seconds: 120)
            try #require(ended.code == 0, "\(ended.errors.suffix(3000))")
            return try #require(
                JSONValue(parsing: ended.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(ended.output)")
        }

        @Test("It shows consents, types, transfers and refusals, as text, without a word from the console")
        func shows() throws {
            let served = try Served()
            let directory = try served.map("clinic <b>bold", "scans")
            _ = try served.page().download("clinic <b>bold", "scans", "report.pdf", [1, 2, 3], relPath: ["2026"])
            _ = try served.page("https://evil.example.org").call("list-types", [:])
            let picture = Environment.screenshots ?? "\(served.scratch.path)/page.png"
            let seen = try browse(served, "look", screenshot: picture)
            let text = seen["text"]?.string ?? ""
            for word in [
                Served.app, "clinic <b>bold", directory, "report.pdf", "DONE", "https://evil.example.org",
                "originRefused",
            ] {
                #expect(text.contains(word), "\(word) in \(text)")
            }
            #expect(seen["bold"] == 0 && seen["console"]?.elements?.isEmpty == true, "\(seen.text)")
            // The key has left the address.
            #expect(seen["address"]?.string == "http://127.0.0.1:\(served.port)/")
            let size = try FileManager.default.attributesOfItem(atPath: picture)[.size] as? Int ?? 0
            // A blank page of this size has about 8 KiB.
            #expect(size > 20_000)
            #expect((seen["colours"]?.integer ?? 0) > 3)
        }

        @Test("With the keyboard alone: every control is reached in order, consent is given and revoked")
        func keyboard() throws {
            let served = try Served()
            let seen = try browse(served, "keyboard", screenshot: "\(served.scratch.path)/page.png")
            let order = seen["order"]?.elements?.compactMap(\.string) ?? []
            #expect(
                order.first == "skip" && order.contains("origin") && order.contains("days") && order.contains("grant"),
                "\(order)")
            #expect(order.contains("Revoke consent of \(Served.app)"), "\(order)")
            #expect(
                seen["granted"]?.string?.contains("https://typed.example.org has consent until") == true, "\(seen.text)"
            )
            #expect(seen["revoked"]?.string?.contains("is revoked") == true, "\(seen.text)")
            let listed = try served.fxmount(["consent", "list", "--json"]).output
            #expect(listed.contains("https://typed.example.org") && !listed.contains(Served.app))
        }

        @Test("Without the key it shows nothing and asks for it")
        func locked() throws {
            let served = try Served()
            let seen = try browse(served, "locked", screenshot: "\(served.scratch.path)/page.png")
            #expect(seen["locked"] == true && seen["text"]?.string?.contains(Served.app) == false, "\(seen.text)")
            #expect(seen["unlocked"]?.string?.contains(Served.app) == true, "\(seen.text)")
        }

        @Test("It may load nothing from elsewhere, be framed by nobody and send no form")
        func policy() throws {
            let served = try Served()
            for path in ["/", "/page.js", "/page.css"] {
                let answer = try LoopbackClient(port: served.port).get(path)
                #expect(answer["Content-Security-Policy"]?.hasPrefix("default-src 'none'") == true)
                #expect(answer["Content-Security-Policy"]?.contains("frame-ancestors 'none'") == true)
                #expect(answer["X-Frame-Options"] == "DENY" && answer["Referrer-Policy"] == "no-referrer")
                #expect(!answer.text.contains("http://") && !answer.text.contains(served.key))
            }
        }

        private enum Environment {
            /// Where to keep a picture to look at.
            static var screenshots: String? { ProcessInfo.processInfo.environment["FXMOUNT_SCREENSHOT"] }
        }
    }
}
