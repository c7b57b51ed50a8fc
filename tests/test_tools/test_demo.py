"""tools/demo.py"""

import html
import json
import re
from pathlib import Path

import pytest


def test_one_page(run_tool, capsys):
    run_tool('demo.py')
    page = Path('demo.html').read_text(encoding='utf-8')
    assert page.count(' src="data:image/png;base64,') == 3
    explorer = html.unescape(re.search(r'srcdoc="([^"]*)"', page)[1])
    data = re.search(r'<script type="application/json" id="data">(.*)</script>', explorer)[1]
    data = json.loads(data)
    assert len(data['pictures']) == 8 and data['accuracy'] is not None
    with pytest.raises(SystemExit):
        run_tool('demo.py')
    assert 'demo.html exists already' in capsys.readouterr().err
    run_tool('demo.py', '--force')
