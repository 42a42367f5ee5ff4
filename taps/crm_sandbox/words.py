"""Names, places and texts the records are made of, awkward ones among them."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Grace", "Alan", "Edsger", "Barbara", "Søren", "Zoë", "Łukasz", "José", "Renée", "Mary Ann",
    "D'Arcy", "李", "Мария", "محمد", "Þór", "ßeatrix", "Ngọc", "O’Neil", "Jean-Luc", "Xi", "Bob \"Bobby\"",
    "Kateřina", "Ömer", "Ruth", "Sam", "Olga", "Peter", "Noor", "Ines", "Tom", "Uma", "Vera", "Walt",
)  # fmt: skip
LAST_NAMES = (
    "Byron", "Hopper", "Turing", "Dijkstra", "Liskov", "O'Brien", "van der Berg", "Ångström", "Nuñez", "王",
    "Иванова", "Smith, Jr.", "St. John", "McDonald", "Núñez-Ortiz", "Kowalski", "Müller", "Nguyễn", "Ng",
    "de la Cruz", "Al-Sayed", "Null", "Zimmermann", "Öztürk", "Fitzgerald", "Yamamoto", "Baker", "Lee",
)  # fmt: skip
PLACES = (
    ("Portland", "OR", "97201"), ("Boston", "MA", "02108"), ("St. Paul", "MN", "55101"),
    ("Coeur d'Alene", "ID", "83814"), ("San José", "CA", "95112"), ("Ville-Marie", "QC", "H2Y 1C6"),
    ("Montgomery", "AL", "36104"), ("New York", "New York", "10001-1234"), ("Hilo", "HI", "96720"),
    ("Truth or Consequences", "NM", "87901"), ("Saint-Hyacinthe", "QC", "J2S 4Z7"), ("Newark", "NJ", "7102"),
    ("Springfield", "il", "62701"), ("Anchorage", "AK", "99501"), ("Köln", "", "50667"),
)  # fmt: skip
STREETS = (
    "Main St", "N. Elm Street, Apt. 4\"B\"", "Rue de l'Église", "Route 66", "Straße des 17. Juni", "Oak\tAve",
    "Broadway\nFloor 3", "O'Connell Blvd", "Lower Lake Rd; rear entrance", "Calle Ñuñoa", "5th Ave #12",
)  # fmt: skip
COMPANY_WORDS = (
    "Acme", "Blue Ridge", "Café Zürich", "Delta & Sons", "Evergreen", "Fjord", "Granite", "Håndverk", "Ivory",
    "Juniper", "Kraków", "Lumen", "Mañana", "North Star", "Oak \"n\" Pine", "Prairie", "Quill", "Redwood",
)  # fmt: skip
COMPANY_KINDS = (
    "Roofing", "Solar LLC", "Windows, Inc.", "GmbH", "Bath & Kitchen", "Gutters", "S.A.", "Insulation", "株式会社",
)  # fmt: skip
TEXTS = (
    "Called twice, no answer.",
    "Wants a quote for the roof\nand the gutters.\n\nCall after 5 pm.",
    'Says "not before spring"; try again in March.',
    "C:\\leads\\2026 — see the file; 50% off?",
    "Größe: 12 m², naïve façade — 見積もり",
    "Line one\r\nLine two\r\n",
    "Tab\tseparated\tnotes, with, commas",
    "<p>HTML &amp; entities &lt;b&gt;</p>",
    "Emoji 🏠🔨 and a family 👨‍👩‍👧",
    "  leading and trailing blanks  ",
    '{"looks": "like json"}',
    "NULL",
    "null",
    "N",
    "-",
    "O'Reilly said: 'it''s fine'; DROP TABLE contacts; --",
    "Right-to-left: שלום עולם",
    "Line\u2028separator and no\u00a0break",
    "A long one. " * 40,
)
DECIMALS = (
    "1500.00", "0", "0.1", "-12.5", "99999.99", "1234567890123.45", "3.14159265358979323846264338",
    "12345678901234567890.123456789", "0.00000000000000000001", "1e3", "250", "74.90", "10500.5",
)  # fmt: skip
BAD_EMAILS = (
    "not-an-email",
    "two@@example.com",
    "null",
    "ada@",
    "ada@example",
    " spaced@example.com ",
)
BAD_PHONES = ("123", "call me", "555-CALL-NOW", "+", "0000000000")
URLS = (
    "https://cert.example.com/3f2a?x=1&y=%C3%A9",
    "http://example.org",
    "www.example.net/path",
    "N",
    "https://example.com/" + "a" * 180,
)
